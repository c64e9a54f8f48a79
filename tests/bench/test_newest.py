"""The bench of the newest: medians by broker and rate."""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "bench"))

import newest  # type: ignore[import-not-found] # noqa: E402


def rows(*costs: float) -> list[dict[str, Any]]:
    return [
        {"broker": "memory", "rate": 20.0, "work": work, "cpu_ms": cost, "frames": 50_000.0}
        for cost in costs
        for work in newest.WORKS
    ]


def test_a_cell_is_the_median_and_what_each_member_gets() -> None:
    text = newest.table(rows(10.0, 90.0, 20.0))
    assert "| | `memory`, 20 Hz |" in text
    assert "| `history: latest` | 20 (1000) |" in text


def test_a_frame_is_masked_and_counted() -> None:
    here, there = newest.socket.socketpair()
    with here, there:
        here.setblocking(False)
        member = newest.Member(here)
        member.send(b'{"type":"x"}')
        assert there.recv(99) == b'\x81\x8c\0\0\0\0{"type":"x"}'
        there.send(b'\x81\x0c{"type":"x"}' * 3)
        member.receive()
        assert member.frames == 3

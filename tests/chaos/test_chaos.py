"""A short storm in the normal tests (`make chaos` has the long one), and whether the checker can see faults at all."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import check
from tests.system.kit import ROOT

Write = Callable[..., Path]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_short_storm_breaks_no_promise(tmp_path: Path) -> None:
    # In a process of its own: clients that are cut off leave sockets to the garbage collector.
    arguments = ["--seconds", "10", "--seed", "20", "--clients", "9", "--folder", str(tmp_path)]
    command = [sys.executable, "-m", "tests.chaos", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "0 problems"), ended
    found = check(tmp_path)
    assert min(found.heard, found.acked, found.recovered) > 0


def pos(offset: int) -> str:
    return f"e-{offset:010x}"


GOOD: list[dict[str, Any]] = [
    {"event": "sails", "path": "/long/a"},
    {"event": "open", "since": ""},
    {"event": "subscribed", "pos": pos(0), "recovered": None},
    {"event": "sent", "n": 1},
    {"event": "heard", "pos": pos(1), "who": "u0", "n": 1},
    {"event": "acked", "n": 1},
    {"event": "sent", "n": 2},
    {"event": "heard", "pos": pos(2), "who": "u0", "n": 2},
    {"event": "acked", "n": 2},
    {"event": "open", "since": pos(2)},
    {"event": "subscribed", "pos": pos(3), "recovered": True},
    {"event": "heard", "pos": pos(3), "who": "u1", "n": 1},
]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a storm's folder: what one client noted, and what is so in the end."""

    def written(events: list[dict[str, Any]], **truth: Any) -> Path:
        frames = [
            {"pos": pos(1), "from": "u0", "n": 1},
            {"pos": pos(2), "from": "u0", "n": 2},
            {"pos": pos(3), "from": "u1", "n": 1},
        ]
        room = {"frames": frames, "present": {"u0": 1}, "inside": {"u0": 1}}
        whole = {"rooms": {"/long/a": room}, "descriptors": [[9], [9]], **truth}
        tmp_path.joinpath("u0.jsonl").write_text("\n".join(map(json.dumps, events)))
        tmp_path.joinpath("truth.json").write_text(json.dumps(whole))
        return tmp_path

    return written


def changed(number: int, **fields: Any) -> list[dict[str, Any]]:
    return [{**event, **(fields if i == number else {})} for i, event in enumerate(GOOD)]


def test_the_checker_finds_nothing_where_nothing_is(write: Write) -> None:
    found = check(write(GOOD))
    assert (found.problems, found.heard, found.acked, found.recovered) == ([], 3, 2, 1)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (GOOD[:7] + GOOD[9:], "heard"),
        (GOOD[:5] + GOOD[4:], "heard"),
        ([*GOOD[:4], GOOD[6], GOOD[7], GOOD[4], *GOOD[8:]], "heard"),
        (changed(11, who="u9"), "others"),
        (changed(4, pos=pos(7)), "heard"),
        ([*GOOD, {"event": "sent", "n": 9}, {"event": "acked", "n": 9}], "nowhere"),
        ([*GOOD[:3], GOOD[6], GOOD[8], GOOD[3], GOOD[5]], "stands before"),
        (changed(10, recovered=None), "was not told"),
        ([*GOOD, {"event": "heard", "pos": pos(4), "who": "u1", "n": 1}], "twice"),
    ],
)
def test_the_checker_finds_planted_faults(
    write: Write, events: list[dict[str, Any]], said: str
) -> None:
    assert any(said in problem for problem in check(write(events)).problems)


def test_the_checker_takes_a_gap_that_was_told(write: Write) -> None:
    told = {"event": "subscribed", "pos": pos(2), "recovered": False}
    assert check(write([*GOOD[:7], told, *GOOD[9:]])).problems == []


def test_the_checker_compares_presence_and_descriptors(write: Write) -> None:
    room = {"frames": [], "present": {"u0": 1, "ghost": 1}, "inside": {"u0": 1}}
    folder = write(GOOD[:3], rooms={"/long/a": room}, descriptors=[[9], [30]])
    assert [problem.split()[0] for problem in check(folder).problems] == ["/long/a:", "descriptors"]

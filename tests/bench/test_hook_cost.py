"""The bench of hooks over HTTP: its backend answers by path, and its table."""

import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "bench"))

import hook_cost  # type: ignore[import-not-found] # noqa: E402


@pytest.mark.parametrize("path", list(hook_cost.ANSWERS))
def test_the_backend_answers_by_path_and_again(path: bytes) -> None:
    with hook_cost.answering() as port, socket.create_connection(("127.0.0.1", port)) as sock:
        for _ in range(2):
            sock.sendall(b"POST " + path + b" HTTP/1.1\r\n\r\n")
            assert sock.recv(65536) == hook_cost.ANSWERS[path]


def test_the_page_has_a_row_for_each_work() -> None:
    found = {(work, clients): 12.4 for work in hook_cost.WORKS for clients in hook_cost.CLIENTS}
    assert hook_cost.table(found).count("| 12 | 12 |") == len(hook_cost.WORKS)

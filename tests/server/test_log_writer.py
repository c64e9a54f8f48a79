"""Log lines in a thread of their own: in order, bounded, and never in anybody's way."""

import contextlib
import io
import os
import threading
from collections.abc import Iterator

import pytest

from channeld.server.log_writer import MOST_BYTES, MOST_LINES, LineWriter, off_the_loop
from channeld.telemetry import bound, configure, dropped, left_out, log
from tests.telemetry.test_logger import as_it_was

__all__ = ["as_it_was"]


class Gate(io.StringIO):
    """A stream that takes nothing until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked, self.opened = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.is_asked.set()
        assert self.opened.wait(60)
        return super().write(text)


@contextlib.contextmanager
def full_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """stderr is a pipe that is full; the end that may be read."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(65536))
    os.set_blocking(writing, True)
    # Not in a fixture: pytest sets stderr again before the test is called.
    with os.fdopen(writing, "w") as stream, monkeypatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        yield reading
    os.close(reading)


def read_until(reading: int, wanted: bytes) -> None:
    data = b""
    while wanted not in data:
        data = data[-100:] + os.read(reading, 1 << 20)


def test_lines_are_written_in_order() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    for number in range(500):
        writer.put(f"{number}")
    writer.start()
    writer.close()
    assert stream.getvalue().split() == [str(number) for number in range(500)]
    assert writer.dropped == 0


def test_what_waits_is_bounded_and_what_is_lost_is_told() -> None:
    told: list[int] = []
    stream = Gate()
    writer = LineWriter(stream, told.append)
    writer.start()
    writer.put("first")
    assert stream.is_asked.wait(60)
    for _ in range(MOST_LINES + 7):
        writer.put("x")
    assert writer.dropped == 7
    assert told == []
    stream.opened.set()
    writer.close()
    writer.put("again")
    assert told == [7]


def test_bytes_that_wait_are_bounded() -> None:
    writer = LineWriter(io.StringIO())
    for _ in range(3):
        writer.put("x" * (MOST_BYTES // 2))
    assert writer.dropped == 1


def test_what_cannot_be_written_is_lost_and_counted() -> None:
    stream = io.StringIO()
    stream.close()
    writer = LineWriter(stream)
    writer.put("x")
    writer.start()
    writer.close()
    assert writer.dropped == 1


def test_a_pipe_that_nobody_reads_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(format="json")
    before = dropped()
    with full_pipe(monkeypatch) as reading, off_the_loop():
        for _ in range(100):
            log("server_stopped", connections=0)
        assert dropped() == before
        read_until(reading, b"server_stopped")


def test_hook_authors_lines_are_written_apart_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(format="json")
    with full_pipe(monkeypatch) as reading, off_the_loop():
        bound(connection="c1").info("welcomed")
        read_until(reading, b"welcomed")


def test_one_address_writes_no_more_lines_than_a_disk_should_have() -> None:
    configure(format="json", stream=io.StringIO())
    with off_the_loop():
        for _ in range(10_000):
            log("handshake_refused", status=404, address="192.0.2.1")
        assert left_out() > 0

"""Finished lines: written at once, or given to the process's writer."""

import io
from pathlib import Path

import pytest

from channeld.telemetry.output import dropped, put, write, writing_to


class Sink:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.dropped = 0

    def put(self, line: str) -> None:
        self.lines.append(line)


def test_a_full_disk_ends_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        assert not write(["x" * 100_000], full)


def test_without_a_writer_lines_are_written_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    put("a line")
    assert capsys.readouterr().err == "a line\n"


def test_the_processs_writer_gets_the_lines_and_counts_what_it_loses() -> None:
    before, sink = dropped(), Sink()
    with writing_to(sink):
        put("a line")
        sink.dropped = 3
        assert dropped() == before + 3
    assert sink.lines == ["a line"]
    assert dropped() == before + 3


def test_a_stream_that_is_given_is_written_to_at_once() -> None:
    stream, sink = io.StringIO(), Sink()
    with writing_to(sink):
        put("a line", stream)
    assert (stream.getvalue(), sink.lines) == ("a line\n", [])


def test_a_closed_stream_ends_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    assert not write(["x"], stream)

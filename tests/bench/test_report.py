"""The bench's report: what several runs say together, and what is met."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import report  # type: ignore[import-not-found]
import targets  # type: ignore[import-not-found]


def record(*runs: dict[str, Any], commit: str = "0123abcd", **more: Any) -> dict[str, Any]:
    machine = {"cpu": "a", "cores": "2", "system": "L", "python": "3", "date": "2026-11-28"}
    base = {"machine": machine, "commit": commit, "seconds": 0.8, "builds": {"channeld": "**c**"}}
    return base | {"versions": {}, "absent": {}, "runs": list(runs)} | more


def run(**us: dict[str, float]) -> dict[str, Any]:
    """A run's results: CPU by peer and work."""
    return {
        peer: {"errors": {}} | {work: {"us": value, "kib": 3.0} for work, value in works.items()}
        for peer, works in us.items()
    }


def test_ratios_are_those_within_a_run() -> None:
    both = record(
        run(channeld={"event": 10.0}, starlette={"event": 30.0}),
        run(channeld={"event": 100.0}, starlette={"event": 100.0}),
        run(channeld={"event": 10.0}, starlette={"event": 20.0}),
    )
    assert "| Starlette / uvicorn[standard] | 30.0 (2.00) |" in report.markdown(both)


def test_several_files_are_one_report_and_who_was_there_once_is_not_absent() -> None:
    one = record(run(channeld={"echo_1": 8.0}), absent={"nchan": "no network", "ws": "no node"})
    other = record(run(channeld={"tls_echo_1": 20.0}), commit="4567cdef", versions={"ws": "ws 8"})
    both = report.merged([one, other])
    assert both["commit"] == "0123abcd, 4567cdef"
    assert both["absent"] == {"nchan": "no network"}
    text = report.markdown(both)
    assert "### TLS" in text
    assert "### Echo, fan-out, connect" in text
    assert "### Growth" not in text


def test_other_builds_are_beside_channeld() -> None:
    both = record(
        run(**{"channeld": {"echo_1": 8.0}, "channeld:/b": {"echo_1": 16.0}}),
        builds={"channeld": "**c**", "channeld:/b": "channeld at 35ad041f"},
    )
    assert "| `echo_1` | 8.00 | 16.00 (0.50) |" in report.markdown(both)


@pytest.mark.parametrize(
    ("value", "floor", "verdict"),
    [
        (None, 2.0, "not measured"),
        (0.9, 2.0, "yes"),
        (1.0, None, "yes"),
        (1.2, 0.9, "**no**"),
        (1.2, 1.1, "**no**: the floor is over it"),
    ],
)
def test_a_target_that_no_server_can_meet_says_so(
    value: float | None, floor: float | None, verdict: str
) -> None:
    assert targets.Target("w", "at most 1", value, 1.0, floor).verdict == verdict


def test_what_failed_is_said_once_for_the_page_and_in_the_row() -> None:
    bad = record({"channeld": {"errors": {"echo_1": "altered text"}, "echo_8": {"us": 2.0}}})
    text = report.markdown(bad)
    assert "- channeld, run 1, echo_1: altered text" in text
    assert "**c**: **failed" not in text
    assert "| **channeld**: **failed, see below** |" in text

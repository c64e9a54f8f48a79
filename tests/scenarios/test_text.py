from pathlib import Path

import pytest

from channeld.diagnostics.diagnostic import Place
from channeld.scenarios.outcome import FileResult, Outcome, ScenarioProblem, Status, TimelineEntry
from channeld.scenarios.text import counts, render_outcome, rerun, summary
from tests.scenarios.kit import CASES, run

GOLDEN = sorted(CASES.glob("*.txt"))
PLACE = Place("a.test.yaml", 1, 3, 1, 5)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_each_way_to_fail_has_its_text(path: Path) -> None:
    text, _, expected = path.read_text().partition("----------\n")
    result = run(text)
    assert render_outcome(result.outcomes[0], result.text) == expected


def test_the_golden_cases_do_fail() -> None:
    first = [path.read_text().partition("----------\n")[2][:5] for path in GOLDEN]
    assert sorted(set(first)) == ["ERROR", "FAIL ", "SKIP "]


def failed(**changes: object) -> Outcome:
    problem = ScenarioProblem(headline="went wrong", place=PLACE, label="here")
    entries = tuple(TimelineEntry(time=n, who="ann", mark="<", text=str(n)) for n in range(60))
    values = {"name": "it", "status": Status.FAIL, "place": PLACE, "problems": (problem,), "timeline": entries}  # fmt: skip
    return Outcome(**{**values, **changes})  # type: ignore[arg-type]


def test_a_long_timeline_shows_its_end() -> None:
    text = render_outcome(failed(), "ab cd\n")
    assert "… 20 earlier" in text
    assert "+19.000s" not in text
    assert "+59.000s" in text


def test_there_is_colour_only_if_asked_for() -> None:
    assert "\x1b" not in render_outcome(failed(), "ab cd\n")
    painted = render_outcome(failed(), "ab cd\n", colour=True)
    assert "\x1b[1;31m^^ here\x1b[0m" in painted


def test_what_clients_send_cannot_steer_the_terminal() -> None:
    entries = (TimelineEntry(time=0, who="ann", mark=">", text="\x1b[2J\nx"),)
    assert "\x1b" not in render_outcome(failed(timeline=entries), "ab cd\n")


def test_a_place_outside_of_the_text_has_no_frame() -> None:
    problem = ScenarioProblem(
        headline="wrong", place=Place("a.test.yaml", 9, 1, 9, 2), label="here"
    )
    assert "  = wrong\n  = here" in render_outcome(failed(problems=(problem,)), "ab cd")


def test_the_command_is_quoted() -> None:
    assert rerun(failed(name="ann's $HOME")) == ("channeld test a.test.yaml -k 'ann'\"'\"'s $HOME'")


def test_the_summary_counts_broken_files_as_errors() -> None:
    results = [
        FileResult(file="a", outcomes=(failed(virtual=90.0), failed(status=Status.PASS))),
        FileResult(file="b", unreadable="no such file"),
    ]
    assert counts(results)[Status.ERROR] == 1
    assert summary(results, 0.094) == (
        "1 passed, 1 failed, 1 error, 0 skipped in 0.09s (virtual 1m30s)"
    )

import pytest

from channeld.cli import explain
from channeld.cli.main import run
from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry
from channeld.diagnostics.diagnostic import Severity

ENTRY = CatalogueEntry(
    code="CH399",
    name="a-name",
    severity=Severity.ERROR,
    title="something is wrong",
    explanation=(
        "A long paragraph of\nseveral lines. "
        + "word " * 30
        + "\n\n- one\n  more\n- two\n\n```yaml\na:   b\n\nc: d\n```"
    ),
    wrong="x:  1",
    right="x:  2",
)


@pytest.fixture(autouse=True)
def catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "CATALOGUE", {**CATALOGUE, "CH399": ENTRY})


@pytest.mark.parametrize("code", ["CH399", "ch399"])
def test_a_code_is_explained(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", code]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "CH399 a-name (error)"
    assert lines[2] == "something is wrong"
    assert all(len(line) <= 100 for line in lines)


def test_paragraphs_are_wrapped_and_examples_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    run(["explain", "CH399"])
    out = capsys.readouterr().out
    assert "A long paragraph of several lines. word" in out
    assert "- one more\n- two\n" in out
    assert "```yaml\na:   b\n\nc: d\n```" in out
    assert "Wrong:\n    x:  1\n" in out
    assert "Right:\n    x:  2\n" in out


def test_an_unknown_code_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "CH3999"]) == 2
    assert "there is no code CH3999; did you mean `CH399`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("ch130", "did you mean `CH103` or `CH310`?"),
        ("CH70", "did you mean `CH701`, `CH703`, `CH704` or `CH705`?"),
        ("chh310", "did you mean `CH310`?"),
        ("CH999", "`channeld explain` lists them all"),
        ("unkown-key", "did you mean `unknown-key`?"),
    ],
)
def test_a_misspelt_code_leads_to_those_that_are_one_slip_away(
    code: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", code]) == 2
    assert meant in capsys.readouterr().err


def test_a_name_is_as_good_as_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "unknown-key"]) == 0
    assert capsys.readouterr().out.startswith("CH103 unknown-key (error)")


def test_nothing_like_it_points_to_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "xyz"]) == 2
    assert "`channeld explain` lists them all" in capsys.readouterr().err


def test_without_a_code_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "CH399  error    something is wrong" in lines
    assert len(lines) == len(CATALOGUE) + ("CH399" not in CATALOGUE)
    assert lines == sorted(lines)

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from channeld.cli.main import run

CONFIG = """\
channeld: 1
channels:
  lobby:
    path: /lobby
    auth: none
    messages:
      say: {schema: {type: object, required: [text], properties: {text: {type: string}}}, route: sender}
      cry: {schema: true, route: sender}
"""
GOOD = """\
scenarios:
  - name: a word comes back
    clients: {ann: {path: /lobby}}
    steps:
      - ann: {send: {type: say, text: hi}}
      - ann: {expect: {type: say, text: hi}}
"""
BAD = GOOD.replace("expect: {type: say, text: hi}", "expect: {type: say, text: ho}")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text(CONFIG)
    return tmp_path


def write(text: str, name: str = "it.test.yaml") -> None:
    Path(name).write_text(text)


@pytest.mark.parametrize(
    ("text", "arguments", "status"),
    [
        (GOOD, [], 0),
        (BAD, [], 1),
        (BAD, ["-k", "word"], 1),
        (GOOD, ["-k", "nothing like it"], 2),
        (GOOD.replace("    clients", "    skip: later\n    clients"), [], 0),
        ("scenarios: []", [], 1),
        ("{", [], 1),
        (GOOD, ["nowhere"], 2),
        (GOOD, ["--jobs", "0"], 2),
        (GOOD, ["--min-coverage", "10"], 0),
        (GOOD, ["--min-coverage", "100"], 1),
    ],
)
def test_the_exit_status(text: str, arguments: list[str], status: int) -> None:
    write(text)
    assert run(["test", *arguments]) == status


def test_no_scenario_at_all_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test"]) == 2
    assert capsys.readouterr().err == (
        "Error: no scenario: there is no `*.test.yaml` file in . or below\n"
    )


@pytest.mark.parametrize("arguments", [["-k", "nothing"], ["nowhere"], ["x" * 300]])
def test_a_run_without_a_scenario_leaves_one_document(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write(GOOD)
    assert run(["test", *arguments, "--format", "json"]) == 2
    assert json.loads(capsys.readouterr().out)["scenarios"] == []
    assert run(["test", *arguments, "--format", "junit"]) == 2
    assert ET.fromstring(capsys.readouterr().out.encode()).tag == "testsuites"


def test_what_passes_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD)
    run(["test"])
    captured = capsys.readouterr()
    assert captured.out.startswith("1 passed, 0 failed, 0 errors, 0 skipped in ")
    assert captured.err == ""


def test_verbose_names_what_passes(capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD)
    run(["test", "-v"])
    assert capsys.readouterr().out.startswith("PASS  a word comes back\n")


def test_a_failure_shows_its_step(capsys: pytest.CaptureFixture[str]) -> None:
    write(BAD)
    run(["test", "it.test.yaml"])
    shown = capsys.readouterr().out
    assert " --> it.test.yaml:6:41   step 2 of 2, client ann, t=+0.000s" in shown
    assert '^^ expected "ho", got "hi"' in shown
    assert "re-run:  channeld test it.test.yaml -k 'a word comes back'" in shown
    assert "\x1b" not in shown


def test_findings_look_as_those_of_validate(capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD.replace("expect:", "expekt:"))
    assert run(["test"]) == 1
    shown = capsys.readouterr().out
    assert "error[CH802] unknown key `expekt` in `ann`\n  it.test.yaml:6:15\n" in shown
    assert "= help: did you mean `expect`?" in shown


def test_coverage_tells_what_was_not_reached(capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD)
    run(["test", "--coverage"])
    shown = capsys.readouterr().out
    assert "coverage of channels.yaml: 25 % (3 of 12)\n" in shown
    assert "  lobby    50.0 %  3 of 6\n" in shown
    assert "      message  cry                              channels.yaml:8\n" in shown


def test_too_little_coverage_is_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD)
    run(["test", "--min-coverage", "50"])
    assert capsys.readouterr().err == (
        "coverage is 25 %, and 50 % is required (--coverage lists the rest)\n"
    )


@pytest.mark.parametrize("text", [GOOD, BAD, "{"])
def test_json_is_one_document(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(text)
    run(["test", "--format", "json", "--coverage"])
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == ["it.test.yaml"]
    assert set(document) >= {"version", "scenarios", "diagnostics", "summary", "coverage"}


def test_junit_is_xml_and_coverage_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    write(BAD)
    run(["test", "--format", "junit", "--coverage"])
    captured = capsys.readouterr()
    assert ET.fromstring(captured.out).attrib["failures"] == "1"
    assert "coverage of channels.yaml" in captured.err


def test_github_annotates(capsys: pytest.CaptureFixture[str]) -> None:
    write(BAD)
    run(["test", "--format", "github"])
    assert capsys.readouterr().out.startswith(
        "::error file=it.test.yaml,line=6,col=41,endColumn=43,"
    )


def test_a_file_that_cannot_be_read_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD, "good.test.yaml")
    Path("loop.test.yaml").symlink_to("loop.test.yaml")
    assert run(["test", "."]) == 2
    captured = capsys.readouterr()
    assert "loop.test.yaml: Too many levels of symbolic links" in captured.err
    assert "1 passed" in captured.out


def test_the_shipped_scenarios_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    assert run(["test", "examples/chat/chat.test.yaml", "--min-coverage", "85"]) == 0

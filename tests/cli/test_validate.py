import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from channeld.cli import validate
from channeld.cli.main import run
from channeld.cli.validate import configurations

GOOD = """\
channeld: 1
channels: {chat: {path: /chat, auth: none, description: Chat., messages: {say: {schema: {
  type: object, additionalProperties: false}, route: sender}}}}
"""
BAD = GOOD.replace("auth: none", "auth: nobody")
WARNED = GOOD + "server: {bind: '127.0.0.1:${CHANNELD_TEST_UNSET_PORT}'}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "arguments", "status"),
    [
        (GOOD, [], 0),
        (BAD, [], 1),
        (WARNED, [], 0),
        (WARNED, ["--strict"], 1),
        (GOOD, ["--strict"], 0),
        ("{", [], 1),
        ("", [], 1),
    ],
)
def test_the_exit_status(text: str, arguments: list[str], status: int) -> None:
    Path("channels.yaml").write_text(text)
    assert run(["validate", *arguments]) == status


def test_findings_are_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(BAD)
    run(["validate"])
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "error[CH401]" in captured.out
    assert "channels.yaml:2:" in captured.out
    assert captured.out.endswith("1 error in channels.yaml\n")


def test_a_good_file_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(GOOD)
    run(["validate"])
    assert capsys.readouterr().out == "no problems in channels.yaml\n"


def test_a_missing_file_is_unreadable_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(BAD)
    assert run(["validate", "none.yaml", "channels.yaml", "--format", "json"]) == 2
    found = json.loads(capsys.readouterr().out)["diagnostics"]
    assert [each["code"] for each in found] == ["CH401", "CH117"]
    assert run(["validate", "x" * 300, "--format", "json"]) == 2
    assert json.loads(capsys.readouterr().out)["summary"]["errors"] == 1


def test_several_files_give_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text(BAD)
    Path("b.yaml").write_text(BAD)
    assert run(["validate", "a.yaml", "b.yaml", "a.yaml", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == ["a.yaml", "b.yaml"]
    assert document["summary"] == {"errors": 2, "warnings": 0}


def test_a_bug_leaves_one_document(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(validate, "check_any", check)
    assert run(["validate", "--format", "json"]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["summary"] is None
    assert "internal error" in captured.err


def test_the_formats_of_ci(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(BAD)
    run(["validate", "--format", "github"])
    assert capsys.readouterr().out.startswith("::error file=channels.yaml,line=2,")
    run(["validate", "--format", "sarif"])
    assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"
    run(["validate", "--format", "junit"])
    assert len(ET.fromstring(capsys.readouterr().out).findall(".//failure")) == 1


def test_a_report_can_go_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(BAD)
    assert run(["validate", "--format", "json", "-o", "out.json"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "1 error in channels.yaml; see out.json\n"
    assert json.loads(Path("out.json").read_text())["summary"]["errors"] == 1


def test_a_report_that_cannot_be_written_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(GOOD)
    assert run(["validate", "-o", "no/such/folder"]) == 2
    assert capsys.readouterr().err == "Error: no/such/folder: No such file or directory\n"


def test_hooks_are_not_imported_if_told_so() -> None:
    Path("rude_hooks.py").write_text("raise RuntimeError('imported')\ndef greet(ctx): ...\n")
    Path("channels.yaml").write_text(
        GOOD.replace("auth: none", "auth: none, hooks: {connect: 'rude_hooks:greet'}")
    )
    assert run(["validate"]) == 1
    assert run(["validate", "--no-hooks"]) == 0


def test_a_folder_stands_for_the_configurations_in_it() -> None:
    for name in (
        "one/channels.yaml",
        "one/deep/channels.yml",
        "one/.git/channels.yaml",
        "two/other.yaml",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(GOOD)
    assert list(configurations(["one"])) == ["one/channels.yaml", "one/deep/channels.yml"]
    assert list(configurations(["two", "two/other.yaml", "-"])) == [
        "two/channels.yaml",
        "two/other.yaml",
        "-",
    ]


def test_no_colours_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(BAD)
    run(["validate"])
    assert "\x1b" not in capsys.readouterr().out


SCENARIO = "scenarios: [{name: one, clients: {ann: {path: /chat}}, steps: [advance: 1s]}]\n"
WRONG_SCENARIO = SCENARIO.replace("steps:", "step:")


def test_a_scenario_file_is_checked_and_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("it.test.yaml").write_text(WRONG_SCENARIO)
    assert run(["validate", "it.test.yaml"]) == 1
    out = capsys.readouterr().out
    assert "error[CH802] unknown key `step`" in out
    assert "it.test.yaml:1:" in out
    assert "1 | scenarios: [{name: one" in out


def test_a_good_scenario_file_has_no_problems(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(GOOD)
    Path("it.test.yml").write_text(SCENARIO)
    assert run(["validate", "it.test.yml"]) == 0
    assert capsys.readouterr().out == "no problems in it.test.yml\n"


def test_a_missing_scenario_file_is_unreadable(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "none.test.yaml"]) == 2
    assert "error[CH117] `none.test.yaml` can't be read" in capsys.readouterr().out


def test_a_folder_stands_for_its_scenario_files_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("tests").mkdir()
    Path("channels.yaml").write_text(GOOD)
    Path("tests/it.test.yaml").write_text(WRONG_SCENARIO)
    assert run(["validate", ".", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == ["./channels.yaml", "./tests/it.test.yaml"]
    assert {each["file"] for each in document["diagnostics"]} == {"./tests/it.test.yaml"}


def test_a_scenario_file_s_configuration_and_stubs_are_checked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("it.test.yaml").write_text(SCENARIO + "hooks: {'chat:nobody': {returns: 1}}\n")
    assert run(["validate", "it.test.yaml"]) == 1
    assert "error[CH811] there is no channels.yaml" in capsys.readouterr().out
    Path("channels.yaml").write_text(GOOD)
    assert run(["validate", "it.test.yaml"]) == 1
    assert "error[CH814] the configuration has no hook `chat:nobody`" in capsys.readouterr().out


def test_a_bad_configuration_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    Path("channels.yaml").write_text(BAD)
    Path("it.test.yaml").write_text(SCENARIO)
    run(["validate", "it.test.yaml"])
    assert "error[CH811] `channels.yaml` is not valid" in capsys.readouterr().out
    run(["validate", "."])
    out = capsys.readouterr().out
    assert "CH811" not in out
    assert out.endswith("1 error in ./channels.yaml\n")


def test_a_schema_file_is_checked_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    Path("say.json").write_text('{"type": "object", "properties": {"text": {"type": "strin"}}}')
    assert run(["validate", "say.json"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("error[CH201] `strin` is not a JSON Schema type\n  say.json:1:")
    assert out.endswith("1 error in say.json\n")
    Path("say.json").write_text('{"type": "object"}')
    assert run(["validate", "say.json"]) == 0
    assert capsys.readouterr().out == "no problems in say.json\n"


def test_a_small_configuration_loads_only_what_reads_it() -> None:
    Path("channels.yaml").write_text(GOOD)
    program = (
        "import sys; from channeld.cli.main import run; run(['validate']);"
        "print(*(name for name in sys.modules if name.startswith('channeld')), sep='\\n')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(ran.stdout.split())
    unneeded = (
        "schema.compare",
        "broker",
        "hub",
        "engine",
        "server",
        "export",
        "diff",
        "scenarios",
    )
    forms = tuple(f"diagnostics.render.{name}" for name in ("json", "github", "sarif", "junit"))
    prefixes = tuple(f"channeld.{name}" for name in (*unneeded, *forms))
    assert {name for name in loaded if name.startswith(prefixes)} == set()
    assert len(loaded) <= 130

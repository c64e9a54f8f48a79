"""`channeld access`."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from channeld.cli.main import run

CONFIG = """channeld: 1
auth: {session: {type: jwt, algorithms: [HS256], secret: ssssssssssssssssssssssssssssssssssssssss}}
channels:
  room:
    path: "/rooms/{id}"
    auth: session
    rooms: "{params.id}"
    messages: {rule: {schema: true, route: room, require: {role: admin}}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path.joinpath("channels.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_text_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["access"]) == 0
    out = capsys.readouterr().out
    assert "may send           rule" in out
    assert "requires role=admin" in out


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["access", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == 1
    assert document["channels"][0]["rights"][0]["what"] == "connect"
    assert "verdict" not in document["channels"][0]["rights"][0]


@pytest.mark.parametrize("options", [(), ("--anonymous",), ("--as", "ann")])
def test_the_document_is_what_its_schema_says(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    shipped = Path(__file__).parents[2]
    schema = json.loads((shipped / "schemas/access.schema.json").read_text())
    for right in schema["$defs"]["channel"], schema["$defs"]["right"], schema:
        right["additionalProperties"] = False
    assert run(["access", str(shipped / "channels.yaml"), "--format", "json", *options]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize(("name", "format"), [("access.md", "markdown"), ("access.json", "json")])
def test_a_changed_right_fails_the_check(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, format: str
) -> None:
    run(["access", "--format", format])
    folder.joinpath(name).write_text(capsys.readouterr().out)
    assert run(["access", "--check", name]) == 0
    folder.joinpath("channels.yaml").write_text(CONFIG.replace("role: admin", "role: editor"))
    assert run(["access", "--check", name]) == 1
    captured = capsys.readouterr()
    assert "role=editor" in captured.out
    assert "review the change" in captured.err


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        (["--as", "ann", "--claim", "role=admin"], r"^  yes +may send "),
        (["--as", "ann"], r"^  no +may send .*\(claim `role`\)$"),
        (["--anonymous"], r"^  no +may connect .*\(a token is required\)$"),
    ],
)
def test_one_person(capsys: pytest.CaptureFixture[str], options: list[str], verdict: str) -> None:
    assert run(["access", *options]) == 0
    assert re.search(verdict, capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    "options",
    [
        ["--claim", "a=b"],
        ["--anonymous", "--as", "ann"],
        ["--check", "nothing.md"],
        ["nothing.yaml"],
    ],
)
def test_wrong_usage(options: list[str]) -> None:
    assert run(["access", *options]) == 2


def test_what_is_compared_must_be_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.joinpath("access.md").write_bytes(b"\xa8")
    assert run(["access", "--check", "access.md"]) == 2
    assert capsys.readouterr().err == "Error: access.md: it is not UTF-8 text\n"

"""`channeld trace`."""

import io
import json
from pathlib import Path

import pytest

from channeld.cli.main import run

CONFIG = """channeld: 1
auth: {session: {type: jwt, algorithms: [HS256], secret: ssssssssssssssssssssssssssssssssssssssss}}
channels:
  room:
    path: "/rooms/{id}"
    auth: session
    rooms: "{params.id}"
    messages:
      rule: {schema: true, route: room, require: {role: admin}, hook: "no_such_module:check"}
"""
FRAME = '{"type":"rule","text":"hi"}'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path.joinpath("other.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def traced(*arguments: str) -> int:
    return run(["trace", "/rooms/x", *arguments, "--config", "other.yaml", "--no-hooks"])


def test_delivered(capsys: pytest.CaptureFixture[str]) -> None:
    assert traced(FRAME, "--user", "ann", "--claim", "role=admin") == 0
    out = capsys.readouterr().out
    assert "✓ require    role=admin  (other.yaml:9)" in out
    assert "- hook       `no_such_module:check` not run  (other.yaml:9)" in out
    assert "→ to members of room `x` on `room`" in out
    assert out.endswith("delivered\n")


def test_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert traced(FRAME, "--user", "ann") == 1
    out = capsys.readouterr().out
    assert out.endswith("refused by require: claim `role` is not as required: role=admin\n")


def test_a_handshake_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert traced("--user", "ann") == 0
    assert capsys.readouterr().out.endswith("accepted\n")
    assert traced() == 1


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert traced(FRAME, "--user", "ann", "--format", "json") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["version"], document["outcome"]) == (1, "refused")
    assert document["refused_by"] == "require"
    assert document["steps"][0]["place"] == "other.yaml:5"
    assert document["deliveries"][0]["frame"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    "options",
    [
        ["/rooms/x", "--claim", "a=b"],
        ["/rooms/x", "--user", "ann", "--token", "t"],
        ["rooms/x"],
        ["/rooms/x", "--config", "nothing.yaml"],
        [],
    ],
)
def test_wrong_usage(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", *options]) == 2
    if options:
        capsys.readouterr()
        assert run(["trace", *options, "--format", "json"]) == 2
        assert json.loads(capsys.readouterr().out)["steps"] == []


def test_the_frame_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(FRAME.encode())))
    assert traced("-", "--user", "ann", "--claim", "role=admin") == 0
    assert '"text":"hi"' in capsys.readouterr().out
    assert run(["trace", "/rooms/x", "-", "--config", "-"]) == 2


def test_a_frame_that_is_not_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    assert traced("-", "--user", "ann") == 2
    assert capsys.readouterr().err == "Error: the arguments are not UTF-8 text\n"


def test_a_file_whose_name_is_not_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "other\udcff.yaml"
    folder.joinpath("other.yaml").rename(folder / name)
    assert run(["trace", "/rooms/x", "--config", name, "--no-hooks", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["outcome"] == "refused"

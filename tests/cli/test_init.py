"""`channeld init` as it is typed, and `channeld run` on what it made."""

from pathlib import Path

import pytest

from channeld.cli.main import run
from channeld.dev.new_project import TEMPLATES
from tests.system.kit import command, environment, process_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_says_what_it_wrote_and_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "my chat"]) == 0
    out = capsys.readouterr().out
    assert "  channels.yaml\n" in out
    assert out.endswith("  cd 'my chat'\n  channeld run --dev\n")


def test_this_folder_unless_it_is_told_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init"]) == 0
    assert Path("channels.yaml").is_file()
    assert "cd " not in capsys.readouterr().out


def test_a_second_time_is_refused_with_the_files_in_the_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(["init", "there"])
    before = Path("there/channels.yaml").stat().st_mtime_ns
    assert run(["init", "there", "--template", "dashboard"]) == 1
    error = capsys.readouterr().err
    assert "there is not empty: .github, .gitignore, README.md" in error
    assert "and 2 more. Nothing was written" in error
    assert Path("there/channels.yaml").stat().st_mtime_ns == before


def test_a_file_of_that_name_cannot_be_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("there").write_text("mine")
    assert run(["init", "there"]) == 2
    assert capsys.readouterr().err == "Error: there: Not a directory\n"


def test_a_template_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--template", "game"]) == 2
    error = capsys.readouterr().err
    assert all(name in error for name in TEMPLATES)


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_server_starts_on_what_was_made(folder: Path, template: str) -> None:
    run(["init", "--template", template])
    # Another project that is served here has the API's usual port.
    file = folder / "channels.yaml"
    file.write_text(file.read_text().replace("\napi:\n", "\napi:\n  bind: 127.0.0.1:0\n"))
    arguments = command("run", "--dev", "--bind", "127.0.0.1:0", "--log-format", "json")
    with process_of(arguments, folder, environment()) as served:
        served.wait_ready()
        assert served.event("server_started")["level"] == "info"


@pytest.mark.parametrize("template", TEMPLATES)
def test_its_scenarios_pass(template: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(["init", "--template", template])
    capsys.readouterr()
    assert run(["test"]) == 0
    assert " 0 failed, 0 errors, 0 skipped" in capsys.readouterr().out


ASYNCAPI = """\
asyncapi: 3.0.0
channels:
  chat: {address: /rooms/{room}, messages: {say: {payload: {type: object}}}}
operations: {say: {action: receive, channel: {$ref: "#/channels/chat"}}}
""".replace("/rooms/{room}", '"/rooms/{room}"')


def test_from_asyncapi_it_makes_a_file_that_validates(capsys: pytest.CaptureFixture[str]) -> None:
    Path("api.yaml").write_text(ASYNCAPI)
    assert run(["init", "made", "--from", "api.yaml"]) == 0
    out = capsys.readouterr().out
    assert "Made a project from api.yaml in made" in out
    assert out.endswith("  cd made\n  channeld validate\n")
    assert sorted(str(path) for path in Path("made").rglob("*.*")) == [
        "made/channels.yaml", "made/schemas/channels.schema.json",
    ]  # fmt: skip
    assert run(["validate", "made/channels.yaml"]) == 0


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (None, 2, "api.yaml: No such file or directory"),
        ("a: [", 2, "api.yaml is not YAML or JSON:"),
        ("openapi: 3.1.0", 1, "it is an openapi document"),
        (ASYNCAPI.replace("type: object", "$ref: other.yaml"), 1, "refers to another document"),
    ],
)
def test_from_what_cannot_be_read_nothing_is_written(
    capsys: pytest.CaptureFixture[str], text: str | None, status: int, words: str
) -> None:
    if text is not None:
        Path("api.yaml").write_text(text)
    assert run(["init", "made", "--from", "api.yaml"]) == status
    assert words in capsys.readouterr().err
    assert not Path("made").exists()


def test_a_template_and_a_document_are_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "made", "--from", "api.yaml", "--template", "chat"]) == 2
    assert "use one of them" in capsys.readouterr().err

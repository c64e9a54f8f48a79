"""Every block of every page is what it claims to be.

`yaml` validates (a part of a configuration is completed first), `yaml bad CH310` gives that code, `python` compiles,
`json` is JSON, and what stands after `$ channeld …` in a `console` block comes out of that command. A block that names a
file, as in `python hooks.py`, is written there before, so that a page's blocks make a project.
"""

import ast
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from mypy import api as mypy

from channeld.cli.main import COMMANDS, run
from channeld.plan.load import check
from tests.docs.blocks import PAGES, ROOT, Block, blocks, name_of

LANGUAGE = json.loads((ROOT / "channeld/config/channels.schema.json").read_text())
SECRET = "for-tests-only-0123456789abcdef-0123"
# These need a server or a keyboard.
NOT_TYPED = frozenset({"run", "connect", "publish", "presence", "disconnect", "revoke"})


class Anything(Mapping[str, str]):
    """An environment that has every variable."""

    def __getitem__(self, name: str) -> str:
        return "redis://127.0.0.1:6379/0" if name.endswith("URL") else SECRET

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHANNELD_JWT_SECRET", SECRET)
    monkeypatch.setenv("CHANNELD_DEVICE_TOKEN", SECRET)
    monkeypatch.setenv("CHANNELD_API_KEY", SECRET)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page(page: Path, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(page, project)
    for block in blocks(page):
        write(block, project)
        match block.language:
            case "yaml":
                judge_yaml(block, project)
            case "python":
                ast.parse(block.text, str(block))
            case "json":
                json.loads(block.text)
            case "console":
                for command, wanted in typed(block):
                    judge_command(block, command, wanted, capsys)


def prepare(page: Path, project: Path) -> None:
    """What a page's blocks find in its folder: the shipped project, unless it makes one of its own."""
    if all(block.file != "channels.yaml" for block in blocks(page)):
        shutil.copy(ROOT / "channels.yaml", project)
        for folder in ("examples", "schemas"):
            shutil.copytree(ROOT / folder, project / folder)
    # Modules come first, since a page tends to show the YAML that names them before.
    for block in blocks(page):
        if block.language == "python":
            write(block, project)


def write(block: Block, project: Path) -> None:
    if block.file:
        file = project / block.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text)


def judge_yaml(block: Block, project: Path) -> None:
    said = yaml.safe_load(block.text)
    bad = "bad" in block.words
    if not bad and not (isinstance(said, dict) and said.keys() & LANGUAGE["properties"].keys()):
        return  # somebody else's YAML, such as a workflow's; that it can be read is all we know
    file = project / (block.file or "example.yaml")
    file.write_text(block.text if bad else completed(block.text, said))
    report = check(str(file), environ=Anything(), import_hooks=bool(block.file)).report
    if bad:
        wanted = {word for word in block.words if word.startswith("CH")}
        found = {one.code for one in report}
        assert wanted <= found, f"{block}: {wanted - found} did not come, but {found}"
        assert report.errors or wanted, f"{block}: nothing is wrong with it"
    else:
        told = [f"{one.code} {one.message}" for one in report.errors]
        assert told == [], str(block)


def completed(text: str, said: Mapping[str, object]) -> str:
    """A whole configuration of what a page shows only the interesting part of."""
    if "channeld" not in said:
        text = "channeld: 1\n" + text
    if "channels" not in said:
        auth = said.get("auth")
        use = next(iter(auth)) if isinstance(auth, dict) else "none"
        text += (
            f"\nchannels: {{it: {{path: /it, auth: {use}, events: {{told: {{schema: true}}}}}}}}\n"
        )
    return text


def typed(block: Block) -> Iterator[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that are shown to come of it."""
    command, wanted = "", list[str]()
    for line in [*block.text.splitlines(), "$ "]:
        if line.startswith("$ "):
            if command:
                yield command, wanted
            command, wanted = line[2:], []
        else:
            wanted.append(timeless(line))


def timeless(line: str) -> str:
    """A line without how long something took."""
    return re.sub(r"\bin \d+\.\d+s", "in …s", line.strip())


def judge_command(
    block: Block, command: str, wanted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(command, comments=True)
    if words[0] == "cd":
        pytest.MonkeyPatch().chdir(words[1])  # `project`'s own takes it back
    if words[0] != "channeld" or (
        words[1:2] and words[1] not in {*COMMANDS, "--help", "--version"}
    ):
        return
    if words[1:2] and words[1] in NOT_TYPED and "--help" not in words:
        return
    capsys.readouterr()
    status = run(words[1:])
    captured = capsys.readouterr()
    assert "internal error" not in captured.err, f"{block}: {command}\n{captured.err}"
    assert status in (0, 1), f"{block}: {command}\n{captured.err}"
    came = [timeless(line) for line in (captured.out + captured.err).splitlines()]
    at = 0
    for line in wanted:
        if line and line != "…":
            assert line in came[at:], f"{block}: {command}: {line!r} did not come in\n" + "\n".join(
                came
            )
            at = came.index(line, at) + 1


def test_python_in_the_pages_has_types_that_fit(tmp_path: Path) -> None:
    files = []
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                file = tmp_path / f"{page.stem.replace('-', '_')}_{block.line}.py"
                file.write_text(block.text)
                files.append(str(file))
    config = [
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--cache-dir",
        str(ROOT / ".mypy_cache"),
    ]
    out, err, status = mypy.run([*config, "--no-error-summary", *files])
    assert (out, err, status) == ("", "", 0)
    assert files


def test_the_tags_are_known() -> None:
    known = {
        "",
        "diff",
        "yaml",
        "python",
        "json",
        "console",
        "text",
        "js",
        "html",
        "nginx",
        "ini",
        "sh",
        "lua",
        "mermaid",
        "go",
        "swift",
        "php",
        "elixir",
        "toml",
    }
    odd = [str(block) for page in PAGES for block in blocks(page) if block.language not in known]
    assert odd == []

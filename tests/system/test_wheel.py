"""The wheel, installed where nothing else of this project is, serves a configuration of its own."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.system.kit import PATIENCE, ROOT, Served, process_of

YAML = """
channeld: 1
server: {bind: 127.0.0.1:0}
channels:
  room:
    path: /room
    description: Says it loudly.
    auth: none
    messages:
      say: {schema: say.json, hook: answers:loudly}
"""
HOOKS = """
from channeld import SyncContext

def loudly(ctx: SyncContext, message: dict) -> None:
    ctx.reply({"text": message["text"].upper()})
"""
SCHEMA = '{"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}'


def pip(*arguments: str) -> None:
    """Run pip as it is in the environment of the tests."""
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        check=True,
        timeout=4 * PATIENCE,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # With hatchling at hand nothing is downloaded.
    here = ["--no-build-isolation"] if find_spec("hatchling") is not None else []
    pip("wheel", "--no-deps", *here, "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("channeld-*.whl"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment: the wheel is in it, its dependencies are the running one's."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    site = next(folder.glob("lib/python*/site-packages"))
    site.joinpath("dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    folder.joinpath("channels.yaml").write_text(YAML)
    folder.joinpath("answers.py").write_text(HOOKS)
    folder.joinpath("say.json").write_text(SCHEMA)
    return folder


def call(*arguments: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        arguments,
        check=False,
        cwd=cwd,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"channeld/config/channels.schema.json", "channeld/py.typed"} <= set(names)
    explained = ROOT.glob("channeld/diagnostics/codes/*.md")
    assert {str(file.relative_to(ROOT)) for file in explained} <= set(names)
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith((".dist-info", ".data"))} == {"channeld"}
    # Beside the package the manual pages, and nothing else that lands outside of it.
    data = [name for name in names if ".data/" in name]
    assert all("/data/share/man/man1/channeld" in name for name in data)
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_it_is_what_the_new_environment_imports(programs: Path, project: Path) -> None:
    code = "import channeld; print(channeld.__file__)"
    file = call(programs / "python", "-c", code, cwd=project)
    assert Path(file).is_relative_to(programs.parent)


def test_it_validates(programs: Path, project: Path) -> None:
    report = json.loads(call(programs / "channeld", "validate", "--format", "json", cwd=project))
    assert report["diagnostics"] == []


def test_it_has_the_schema_of_the_language(programs: Path, project: Path) -> None:
    schema = json.loads(call(programs / "channeld", "schema", cwd=project))
    shipped = json.loads(ROOT.joinpath("schemas", "channels.schema.json").read_text())
    assert schema == shipped


@pytest.fixture
def served(programs: Path, project: Path) -> Iterator[Served]:
    arguments = [str(programs / "channeld"), "run", "--log-format", "json"]
    with process_of(arguments, project, {"PATH": os.environ["PATH"]}) as served:
        yield served.wait_ready()


def test_it_serves(served: Served) -> None:
    with served.connect("/room") as client:
        assert client.ask("say", text="hello")["text"] == "HELLO"
        assert client.ask("say")["code"] == "INVALID_MESSAGE"

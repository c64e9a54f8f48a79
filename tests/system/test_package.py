"""What is released: built twice it is the same, and it holds what it should."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.system.kit import PATIENCE, ROOT

IGNORED = shutil.ignore_patterns(".*", "__pycache__", "tests", "build", "dist")


def built(folder: Path, *, umask: int, age: int) -> dict[str, bytes]:
    """sdist and wheel of a copy of the checkout, whose files have another age and other permissions."""
    copy = folder / "copy"
    before = os.umask(umask)
    try:
        shutil.copytree(ROOT, copy, ignore=IGNORED, copy_function=shutil.copyfile)
        for path in copy.rglob("*"):
            os.utime(path, (age, age))
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-d", str(folder / "dist")],
            cwd=copy,
            check=True,
            capture_output=True,
            timeout=4 * PATIENCE,
        )
    finally:
        os.umask(before)
    return {path.name: path.read_bytes() for path in (folder / "dist").iterdir()}


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    pytest.importorskip("hatchling")
    first = tmp_path_factory.mktemp("first")
    once = built(first, umask=0o022, age=1_500_000_000)
    again = built(tmp_path_factory.mktemp("second"), umask=0o077, age=1_700_000_000)
    assert sorted(once) == sorted(again)
    assert [name for name in once if once[name] != again[name]] == []
    return first / "dist", once


def test_built_twice_it_is_the_same(releases: tuple[Path, dict[str, bytes]]) -> None:
    _, files = releases
    assert sorted(name.rpartition(".")[2] for name in files) == ["gz", "whl"]


def test_the_wheel_holds_what_it_should(releases: tuple[Path, dict[str, bytes]]) -> None:
    folder, _ = releases
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        info = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        bill = json.loads(wheel.read(f"{info}/sboms/sbom.cdx.json"))
        metadata = wheel.read(f"{info}/METADATA").decode()
        manual = [name for name in names if "/share/man/man1/" in name]
    assert {"channeld/py.typed", f"{info}/licenses/LICENSE"} <= set(names)
    assert any(name.endswith("/channeld-run.1") for name in manual)
    assert not [
        name for name in names if name.startswith(("tests/", "docs/", "examples/", "bench/"))
    ]
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "channeld")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [one["properties"][0]["value"] for one in bill["components"]]
    assert sorted(listed) == sorted(project["dependencies"])
    assert "License-Expression: MIT" in metadata
    assert "Programming Language :: Python :: 3.14" in metadata


def test_a_wheel_can_be_built_from_the_sdist(
    releases: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    folder, files = releases
    with tarfile.open(next(folder.glob("*.tar.gz"))) as sdist:
        sdist.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=4 * PATIENCE,
    )
    [wheel] = (tmp_path / "dist").iterdir()
    assert wheel.read_bytes() == files[wheel.name]


def test_manual_pages_can_be_read() -> None:
    man = shutil.which("man")
    if man is None:
        pytest.skip("man is not installed")
    for page in sorted((ROOT / "docs/man").iterdir()):
        shown = subprocess.run(
            [man, "--warnings", "-l", str(page)],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "MANPAGER": "cat"},
            timeout=PATIENCE,
            check=True,
        )
        assert shown.stderr == ""
        assert "EXIT STATUS" in shown.stdout


def test_the_release_workflow_does_nothing_before_it_is_set_up() -> None:
    text = (ROOT / "examples/release/release.yml").read_text()
    workflow = yaml.safe_load(text)
    assert text.startswith("# A release workflow")
    assert workflow["permissions"] == {}
    assert {job["if"] for job in workflow["jobs"].values()} == {"vars.RELEASES == 'yes'"}
    assert workflow["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in text

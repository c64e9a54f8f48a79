"""A newcomer finds the way: a package's docstring names its modules, and what a docstring names is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "channeld"
FOLDERS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))
MODULES = sorted(PACKAGE.rglob("*.py"))
ARCHITECTURE = ROOT / "ARCHITECTURE.md"

# Without a whole reading order yet. Nothing may be added.
UNORDERED = {
    "channeld", "api", "cli", "config", "config/rules", "dev", "diagnostics", "diagnostics/catalogue",
    "diagnostics/render", "diff", "engine", "export", "hub", "plan", "protocol", "scenarios", "schema", "schema/compare",
    "server", "testing",
}  # fmt: skip
# Speak of modules that have moved. Nothing may be added.
OUTDATED = {
    "diff/__init__.py", "engine/__init__.py", "engine/ports.py", "scenarios/__init__.py", "server/__init__.py",
}  # fmt: skip
# Files that a docstring speaks of, and that are not of this repository: a user's project, a template.
OF_USERS = {"hooks.py", "conftest.py", "test_chat.py", "app.py"}


def name_of(folder: Path) -> str:
    return str(folder.relative_to(PACKAGE)) if folder != PACKAGE else "channeld"


def parts_of(folder: Path) -> list[str]:
    modules = [path.name for path in sorted(folder.glob("*.py")) if path.stem[:2] != "__"]
    return modules + [
        f"{p.name}/" for p in sorted(folder.iterdir()) if (p / "__init__.py").exists()
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_package_names_its_modules(folder: Path) -> None:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    missing = [part for part in parts_of(folder) if f"`{part}`" not in text]
    assert missing == [] or name_of(folder) in UNORDERED


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_named_in_a_docstring_exist(path: Path) -> None:
    tree = ast.parse(path.read_text())
    holders = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    named = {
        word
        for n in holders
        for word in re.findall(r"`([\w./-]+\.(?:py|md))`", ast.get_docstring(n) or "")
    }
    places = [path.parent, *path.parents, ROOT / "docs"]
    gone = {word for word in named if not any((place / word).exists() for place in places)}
    assert gone - OF_USERS == set() or str(path.relative_to(PACKAGE)) in OUTDATED

"""A newcomer finds the way: a package's docstring names its modules, and what a docstring names is there."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "channeld"
FOLDERS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))
MODULES = sorted(PACKAGE.rglob("*.py"))
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]

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
    # In backticks, or as the head of a line in a list.
    listed = set(re.findall(r"^ {4}(\w+) {2,}", text, re.MULTILINE))
    named = {part for part in parts_of(folder) if f"`{part}`" in text or part[:-3] in listed}
    assert set(parts_of(folder)) - named == set()


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
    assert gone - OF_USERS == set()


def test_the_architecture_names_every_package_and_module_on_top() -> None:
    text = ARCHITECTURE.read_text()
    tops = [f"channeld/{part}" for part in parts_of(PACKAGE)]
    assert [top for top in tops if f"`{top}`" not in text] == []


def test_each_invariant_names_what_holds_it() -> None:
    code_map = ARCHITECTURE.read_text().partition("## Code map")[2].partition("## Cross-cutting")[0]
    invariants = re.findall(r"^- (.+(?:\n  .+)*)", code_map, re.MULTILINE)
    assert len(invariants) > 25
    assert [
        one for one in invariants if not re.search(r"\[.*(?:`tests/[^`]+`|\".+\").*\]$", one)
    ] == []


def test_what_holds_an_invariant_is_there() -> None:
    text = ARCHITECTURE.read_text()
    files = re.findall(r"`((?:tests|channeld|docs)/[\w./-]+)`", text)
    assert [name for name in files if not (ROOT / name).exists()] == []
    contracts = {row["name"] for row in LINTER["contracts"]}
    assert set(re.findall(r'\["([^"]+)"\]', text)) <= contracts


def test_where_a_change_goes_exists() -> None:
    table = ARCHITECTURE.read_text().partition("## Where do I change")[2]
    files = [name for name in re.findall(r"`([\w./-]+)`", table) if "/" in name]
    assert len(files) > 30
    assert [n for n in files if not any((at / n).exists() for at in (ROOT, PACKAGE))] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md"])
def test_files_named_by_the_pages_for_contributors_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    files = re.findall(r"`((?:tests|channeld|docs)/[\w./-]+)`", text)
    made_up = re.compile(r"NAME|nnn|/[xy]/|_y\.py")
    assert [n for n in files if not made_up.search(n) and not (ROOT / n).exists()] == []
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= set(targets)

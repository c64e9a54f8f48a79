"""The house rules that no linter knows: sizes, purpose lines, the mirror of tests, words that are not used."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.sizes import LONGEST_MODULE, long_modules

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "channeld").rglob("*.py"))
LONGEST_FUNCTION = 60
# Tables: one row after the other, nothing to get lost in.
TABLES = {"channeld/config/model.py"}
# Shown by tests of another name: re-exports, protocols without code, entry points.
UNMIRRORED = {
    "channeld/__init__.py",
    "channeld/__main__.py",
    "channeld/config/model.py",
    "channeld/engine/ports.py",
    "channeld/protocol/reader.py",
    "channeld/plan/plan.py",
    "channeld/schema/violations.py",
    "channeld/server/ports.py",
}


# Their subject is other people's code that sleeps.
SPEAK_OF_SLEEP = {
    "tests/test_house.py",
    "tests/plan/test_hook_source.py",
    "tests/plan/test_hooks.py",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    purpose = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
    assert purpose.endswith((".", ":")), f"first docstring line: {purpose!r}"
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)


def test_no_module_is_too_long_to_keep_in_mind() -> None:
    assert set(long_modules(LONGEST_MODULE)) - TABLES == set()


def test_purpose_lines_are_unique() -> None:
    lines = [(ast.get_docstring(ast.parse(p.read_text())) or "").split("\n")[0] for p in MODULES]
    assert sorted(lines) == sorted(set(lines))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    long = [f.name for f in functions(ast.parse(path.read_text())) if _length(f) > LONGEST_FUNCTION]
    assert long == []


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno


def test_only_commands_print() -> None:
    printing = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    }
    assert {name for name in printing if not name.startswith("channeld/cli/")} == set()


def test_no_test_sleeps_or_mocks() -> None:
    words = re.compile(r"\btime\.sleep\(|unittest\.mock|\bfrom time import sleep")
    guilty = [name_of(p) for p in (ROOT / "tests").rglob("*.py") if words.search(p.read_text())]
    assert set(guilty) - SPEAK_OF_SLEEP == set()


def test_modules_have_a_test_module_of_their_name() -> None:
    tests = {name_of(path) for path in (ROOT / "tests").rglob("test_*.py")}
    missing = [name_of(path) for path in MODULES if not _has_test(path, tests)]
    assert missing == []


def _has_test(path: Path, tests: set[str]) -> bool:
    name = name_of(path)
    if name in UNMIRRORED or name in TABLES or path.name == "__init__.py":
        return True
    relative = path.relative_to(ROOT / "channeld")
    return f"tests/{relative.parent}/test_{path.name}".replace("/./", "/") in tests


# Where only other people's types, or what happened before, could say it. Shrinks; does not grow.
ASSERTS = {
    "channeld/broker/redis/embedded.py": 1,
    "channeld/cli/bench.py": 1,
    "channeld/engine/lifecycle.py": 1,
    "channeld/lsp/worker_link.py": 1,
    "channeld/lsp/server.py": 1,
    "channeld/scenarios/fuzz.py": 1,
    "channeld/server/connection.py": 1,
}


def test_types_say_what_could_be_asserted() -> None:
    found = {
        name_of(path): sum(
            isinstance(node, ast.Assert) for node in ast.walk(ast.parse(path.read_text()))
        )
        for path in MODULES
    }
    assert {name: count for name, count in found.items() if count} == ASSERTS


# Modules that may name `Any`. Shrinks; does not grow.
MOST_WITH_ANY = 31


def test_few_modules_may_name_any() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    rules = {
        name: override["disallow_any_explicit"]
        for override in settings["overrides"]
        if "disallow_any_explicit" in override
        for name in override["module"]
    }
    assert rules.pop("channeld.*") is True
    assert len(rules) <= MOST_WITH_ANY
    assert [name for name in rules if name.endswith("*")] == []

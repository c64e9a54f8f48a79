"""What has one home in the code, counted: a second place that knows a fact is a failure, unless it is listed below.

Each home is a row of `HOMES`: where the fact lives, how the code looks that knows it, and how many other places are still
allowed to. That number may only shrink. To see the places, set it to 0 and run this test.
"""

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "channeld"
TARGETS = frozenset({"room", "user", "global", "sender", "none"})
AUTH_TYPES = frozenset({"JwtAuth", "TokensAuth", "HookAuth"})


def is_call_of(node: ast.AST, name: str) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return getattr(node.func, "attr", getattr(node.func, "id", None)) == name


def names_in(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def texts_in(node: ast.AST) -> set[str]:
    return {
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }


def asks_for_auth_type(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and is_call_of(node, "isinstance")
        and bool(names_in(node.args[1]) & AUTH_TYPES)
    )


def compares_target_kind(node: ast.AST) -> bool:
    if isinstance(node, ast.Match):
        return _is_kind(node.subject) and any(
            texts_in(case.pattern) & TARGETS for case in node.cases
        )
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    return any(map(_is_kind, sides)) and any(texts_in(side) & TARGETS for side in sides)


def _is_kind(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("to", "kind")


def escapes_pointer(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value in ("~1", "~0")


def looks_for_close_name(node: ast.AST) -> bool:
    return is_call_of(node, "get_close_matches")


def knows_every_interface(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value in ("0.0.0.0", "[::]")


def takes_group_apart(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and is_call_of(node, "isinstance"):
        return bool(names_in(node.args[1]) & {"BaseExceptionGroup", "ExceptionGroup"})
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "exceptions"
        and getattr(node.value, "id", "") not in ("click", "coredis")
    )


def writes_report(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and any(word in node.value for word in ("::error", "::warning", "<testsuites"))
    )


@attrs.frozen
class Home:
    """Where a fact lives, how code looks that knows it, and how many places elsewhere are allowed."""

    paths: tuple[str, ...]
    knows: Callable[[ast.AST], bool]
    elsewhere: int


HOMES = {
    "the types of authenticators": Home(("auth/",), asks_for_auth_type, 0),
    "the kinds of route targets": Home(("plan/targets/",), compares_target_kind, 6),
    "JSON pointers": Home(("pointer.py",), escapes_pointer, 0),
    "what somebody may have meant": Home(("suggest.py",), looks_for_close_name, 0),
    "where a bound address is reached": Home(("config/reachable.py",), knows_every_interface, 0),
    "exception groups": Home(("groups.py",), takes_group_apart, 0),
    "reports for CI": Home(
        ("diagnostics/render/github.py", "diagnostics/render/junit.py"), writes_report, 0
    ),
}


@cache
def places() -> dict[str, list[str]]:
    """Where each fact is known out of its home, found in one reading of the code: that takes a second."""
    found: dict[str, list[str]] = {fact: [] for fact in HOMES}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        strange = [
            (found[fact], home.knows)
            for fact, home in HOMES.items()
            if not any(one in name for one in home.paths)
        ]
        for node in ast.walk(ast.parse(path.read_text())):
            for here, knows in strange:
                if knows(node):
                    here.append(f"channeld/{name}:{getattr(node, 'lineno', 0)}")
    return found


@pytest.mark.parametrize("fact", HOMES)
def test_a_fact_has_one_home(fact: str) -> None:
    found = places()[fact]
    assert len(found) <= HOMES[fact].elsewhere, "\n".join(found)


@pytest.mark.parametrize(
    ("fact", "code"),
    [
        ("the types of authenticators", "isinstance(auth, JwtAuth | TokensAuth)"),
        ("the kinds of route targets", "route.to in ('sender', 'none')"),
        ("the kinds of route targets", "match route.to:\n    case 'room':\n        pass"),
        ("JSON pointers", "text.replace('~1', '/')"),
        ("what somebody may have meant", "difflib.get_close_matches(name, names)"),
        ("where a bound address is reached", "host == '0.0.0.0'"),
        ("exception groups", "group.exceptions[0]"),
        ("exception groups", "isinstance(error, BaseExceptionGroup)"),
        ("reports for CI", "f'::error file={file}'"),
    ],
)
def test_a_second_place_would_be_found(fact: str, code: str) -> None:
    assert any(map(HOMES[fact].knows, ast.walk(ast.parse(code))))


# Names of `Any` in annotations and casts. JSON has a type of its own (`channeld.protocol.frames.Json`); this may only shrink.
HOLES = 340


def test_explicit_any_only_shrinks() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "Any"
    ]
    assert len(found) <= HOLES

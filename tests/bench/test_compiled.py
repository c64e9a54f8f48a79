"""The compiled wheel is made only where it is asked for, of modules that exist."""

import ast
import importlib
import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compiled() -> ModuleType:
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("compiled", ROOT / "bench" / "compiled.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hook(compiled: ModuleType) -> Any:
    made = compiled.CompileHook.__new__(compiled.CompileHook)
    made.__dict__["_BuildHookInterface__metadata"] = SimpleNamespace(
        core=SimpleNamespace(dependencies=["trio"])
    )
    return made


def test_what_is_compiled_exists(compiled: ModuleType) -> None:
    modules = cast("tuple[str, ...]", compiled.MODULES)
    assert [one for one in modules if not (ROOT / one).is_file()] == []
    assert list(modules) == sorted(set(modules))
    for module, name in compiled.OPEN.items():
        assert module in modules
        assert f"\nclass {name}:" in (ROOT / module).read_text()


def test_what_a_compiled_class_inherits_from_is_compiled(compiled: ModuleType) -> None:
    names = {one.removesuffix(".py").replace("/", ".") for one in compiled.MODULES}
    classes = [
        found
        for name in names
        for found in vars(importlib.import_module(name)).values()
        if isinstance(found, type) and found.__module__ == name
    ]
    bases = {
        base
        for found in classes
        for base in found.__mro__
        if not getattr(base, "_is_protocol", False)
    }
    ours = {base.__module__ for base in bases if base.__module__.startswith("channeld")}
    assert ours - names == set()


def test_what_inherits_from_a_compiled_class_is_compiled(compiled: ModuleType) -> None:
    # Names of classes are used once, so a base is known by its name.
    classes = [
        (str(path.relative_to(ROOT)), node)
        for path in (ROOT / "channeld").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    # A protocol stays an interpreted class.
    closed = {
        node.name
        for path, node in classes
        if path in compiled.MODULES and "Protocol" not in map(ast.unparse, node.bases)
    }
    closed -= set(compiled.OPEN.values())
    wrong = [
        f"{path}: {node.name}"
        for path, node in classes
        if path not in compiled.MODULES
        and any(isinstance(base, ast.Name) and base.id in closed for base in node.bases)
    ]
    assert wrong == []


@pytest.mark.parametrize("value", [None, "", "0", "yes"])
def test_without_the_switch_nothing_is_done_or_needed(
    compiled: ModuleType, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    if value is not None:
        monkeypatch.setenv(compiled.SWITCH, value)
    build_data: dict[str, Any] = {"pure_python": True}
    hook(compiled).initialize("standard", build_data)
    assert build_data == {"pure_python": True}
    assert hook(compiled).dependencies() == []


def test_with_it_the_types_of_the_dependencies_are_needed_and_mypyc(
    compiled: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiled.SWITCH, "1")
    assert hook(compiled).dependencies() == ["trio", *compiled.TOOLS]


def test_an_editable_installation_stays_pure(
    compiled: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiled.SWITCH, "1")
    build_data: dict[str, Any] = {}
    hook(compiled).initialize("editable", build_data)
    assert build_data == {}

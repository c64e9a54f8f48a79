import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pytest

from channeld.plan.hook_import import hook_modules, import_module, module_names, raised_at


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def folder(root: Path, **modules: str) -> str:
    root.mkdir(exist_ok=True)
    for name, text in modules.items():
        file = root.joinpath(*name.split("__")).with_suffix(".py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return str(root)


def import_hook(name: str, root: str, fresh: AbstractSet[str] = frozenset()) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module, Path(root), fresh), attribute)


def test_a_hook_is_imported_from_the_folder(tmp_path: Path) -> None:
    root = folder(tmp_path, chat="def hello(): return 1\n")
    assert import_hook("chat:hello", root)() == 1
    assert sys.path[0] == root
    assert hook_modules(root) == {"chat": tmp_path / "chat.py"}


def test_a_known_module_is_kept(tmp_path: Path) -> None:
    root = folder(tmp_path, chat="box = []\n")
    first = import_hook("chat:box", root)
    folder(tmp_path, chat="box = [1]\n")
    assert import_hook("chat:box", root) is first


def test_a_fresh_one_is_read_again(tmp_path: Path) -> None:
    root = folder(tmp_path, chat="from tools import n\n", tools="n = 1\n")
    assert import_hook("chat:n", root) == 1
    folder(tmp_path, tools="n = 2\n")
    assert import_hook("chat:n", root, {"chat"}) == 1
    assert import_hook("chat:n", root, {"chat", "tools"}) == 2


def test_another_folder_s_module_of_the_same_name_is_dropped(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", pack__hooks="n = 1\n")
    two = folder(tmp_path / "two", pack__hooks="n = 2\n")
    assert import_hook("pack.hooks:n", one) == 1
    assert import_hook("pack.hooks:n", two) == 2
    assert import_hook("pack.hooks:n", one) == 1


def test_what_a_hook_imports_is_the_folder_s_own_too(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", chat="from tools import n\n", tools="n = 1\n")
    two = folder(tmp_path / "two", chat="from tools import n\n", tools="n = 2\n")
    assert [import_hook("chat:n", root) for root in (one, two, one)] == [1, 2, 1]


def test_no_bytecode_is_written(tmp_path: Path) -> None:
    import_hook("chat:n", folder(tmp_path, chat="n = 1\n"))
    assert not (tmp_path / "__pycache__").exists()


def test_what_is_missing_raises(tmp_path: Path) -> None:
    root = folder(tmp_path, chat="n = 1\n")
    with pytest.raises(ModuleNotFoundError):
        import_hook("no_such_module:n", root)


def test_where_it_was_raised_is_in_the_folder(tmp_path: Path) -> None:
    root = folder(tmp_path, chat="import json\n\njson.loads('x')\n")
    with pytest.raises(ValueError, match="Expecting value") as caught:
        import_hook("chat:n", root)
    assert raised_at(caught.value, tmp_path) == (str(tmp_path / "chat.py"), 3)
    assert raised_at(ValueError(), tmp_path) is None


def test_modules_are_listed_as_they_are_imported(tmp_path: Path) -> None:
    folder(tmp_path, chat="", pack__hooks="")
    (tmp_path / "pack" / "__init__.py").touch()
    assert sorted(module_names(tmp_path)) == ["chat", "pack", "pack.hooks"]

"""Imports hook modules: from the configuration's own folder first, and again if they changed or came from elsewhere."""

import importlib
import os
import sys
import traceback
from collections.abc import Set as AbstractSet
from itertools import islice
from pathlib import Path
from types import ModuleType

from channeld.plan.hook_source import find_module

# Global, as `sys.modules` is: the folders that modules were imported from.
_FOLDERS: set[Path] = set()
_MOST = 500


def hook_modules(root: str) -> dict[str, Path]:
    """The imported modules under a folder, with their files."""
    folder = Path(root).resolve()
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).resolve().is_relative_to(folder):
            found[name] = Path(file)
    return found


def import_module(name: str, root: Path, fresh: AbstractSet[str]) -> ModuleType:
    """Import a module with the folder `root` first on `sys.path`; modules in `fresh` are imported again.

    Raises:
        ModuleNotFoundError: the module, or one that it imports, does not exist.
        Exception: whatever the module's own code raises.
    """
    folder = str(root)
    if sys.path[:1] != [folder]:
        sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]
    _forget(root, fresh)
    importlib.invalidate_caches()
    # Bytecode caches compare times in whole seconds: a change within one second would go unnoticed on a reload.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        return importlib.import_module(name)
    finally:
        sys.dont_write_bytecode = before


def _forget(root: Path, fresh: AbstractSet[str]) -> None:
    """Drop from `sys.modules` what `fresh` names and what came from another configuration's folder."""
    # A module's file name starts with its entry of `sys.path`, verbatim.
    others = tuple(f"{folder}{os.sep}" for folder in _FOLDERS - {root})
    _FOLDERS.add(root)
    for name, module in list(sys.modules.items()):
        if name in fresh or _is_replaced(name, module, root, others):
            del sys.modules[name]


def _is_replaced(name: str, module: ModuleType, root: Path, others: tuple[str, ...]) -> bool:
    file: str | None = getattr(module, "__file__", None)
    if not file or not file.startswith(others):
        return False
    own = find_module(name, root)
    if own is not None:
        return str(own) != file
    return not file.startswith(f"{root}{os.sep}") and root.joinpath(*name.split(".")).is_dir()


def raised_at(error: BaseException, root: Path) -> tuple[str, int] | None:
    """The file and line of the hook author's code that raised; None if it was not theirs."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return error.filename, error.lineno
    folder = root.resolve()
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        # Not `<frozen os>`, which would appear to be in the working folder.
        if frame.lineno and path.is_file() and path.resolve().is_relative_to(folder):
            return frame.filename, frame.lineno
    return None


def module_names(root: Path) -> list[str]:
    """The modules under a folder, three levels deep, by their import names."""
    found = (path for pattern in ("*.py", "*/*.py", "*/*/*.py") for path in root.glob(pattern))
    parts = [path.relative_to(root).with_suffix("").parts for path in islice(found, _MOST)]
    return [".".join(p[:-1] if p[-1] == "__init__" and len(p) > 1 else p) for p in parts]

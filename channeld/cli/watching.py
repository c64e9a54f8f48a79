"""Watches the files that a configuration is made of, hook modules included, and reloads when one of them changes."""

import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from watchfiles import Change, awatch

from channeld.plan.plan import Plan

__all__ = ["Watched", "watch"]


class Watched:
    """The files of the last check, and when each hook module was changed last."""

    def __init__(self) -> None:
        self.files: set[Path] = set()
        self._modules: dict[str, tuple[Path, float]] = {}

    def take(self, files: Iterable[str], plan: Plan | None) -> None:
        """Remember what was read. After a failed check (no plan) the modules known before stay watched."""
        self.files = {Path(file).resolve() for file in files if file != "<stdin>"}
        for name in plan.hook_modules if plan is not None else ():
            file = getattr(sys.modules.get(name), "__file__", None)
            if file is not None:
                self._modules[name] = (Path(file).resolve(), _changed_at(Path(file)))
        self.files |= {file for file, _ in self._modules.values()}

    def changed_modules(self) -> frozenset[str]:
        """The hook modules whose files have changed since they were imported."""
        return frozenset(
            name for name, (file, before) in self._modules.items() if _changed_at(file) != before
        )


def _changed_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


async def watch(watched: Watched, reload: Callable[[], Awaitable[object]]) -> None:
    """Call `reload` whenever one of the files changes; the set of files may grow with each reload."""
    while True:
        folders = sorted({file.parent for file in watched.files})

        def is_ours(_change: Change, path: str) -> bool:
            return Path(path).resolve() in watched.files

        async for _ in awatch(*folders, watch_filter=is_ours, recursive=False):
            await reload()
            if {file.parent for file in watched.files} - set(folders):
                break

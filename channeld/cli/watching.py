"""Watches the files that a configuration is made of, hook modules included, and reloads when one of them changes.

What counts is whether the files read differently, not which names the system reports: an editor replaces a file, and a
mounted configuration changes where a symbolic link points.
"""

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import trio

from channeld.plan.hook_import import hook_modules
from channeld.plan.plan import Plan
from channeld.telemetry import log

__all__ = ["Watched", "watch"]

RETRY_S = 1.0
"""Seconds until a folder that is gone is looked for again."""

_Mark: TypeAlias = tuple[int, int, int] | tuple[str, ...] | None


class Watched:
    """The files of the last check, each with the mark by which a change is known."""

    def __init__(self) -> None:
        self.folders: frozenset[Path] = frozenset()
        self._modules: dict[str, Path] = {}
        self._hooks: frozenset[str] = frozenset()
        self._marks: dict[Path, _Mark] = {}

    def look(self) -> frozenset[str]:
        """To be called just before the files are read: what they are like from now on is no change.

        Returns:
            The modules to import afresh: those that have changed, and with one that hooks import, the hooks' own.
        """
        changed = {
            name for name, file in self._modules.items() if _mark(file) != self._marks.get(file)
        }
        self._marks = {file: _mark(file) for file in self._marks}
        return frozenset(changed | self._hooks if changed - self._hooks else changed)

    def take(self, files: Iterable[str], plan: Plan | None) -> None:
        """Remember what was read. After a failed check (no plan) the modules known before stay watched."""
        if plan is not None:
            self._hooks = frozenset(plan.hook_modules)
            self._modules = _own_modules(plan.config.hooks.path)
        read = {Path(file).absolute() for file in files if file != "<stdin>"}
        # A folder of YAML files is watched for its names, too: `include` may mean one that is new.
        lists = {file.parent for file in read if file.suffix in (".yaml", ".yml")}
        watched = read | lists | set(self._modules.values())
        self._marks = {file: self._marks.get(file) or _mark(file) for file in watched}
        plain = {file if file in lists else file.parent for file in watched}
        self.folders = frozenset(plain | {file.resolve().parent for file in watched - lists})

    def has_changed(self) -> bool:
        """Whether something reads differently than when it was last looked at."""
        return any(_mark(file) != mark for file, mark in self._marks.items())


def _own_modules(root: str) -> dict[str, Path]:
    """The imported modules of a configuration's own folder, without what is installed below it."""
    return {
        name: file.absolute()
        for name, file in hook_modules(root).items()
        if "site-packages" not in file.parts
        and name.partition(".")[0] not in ("channeld", "__main__")
    }


def _mark(path: Path) -> _Mark:
    try:
        if path.is_dir():
            return tuple(sorted(file.name for file in path.glob("*.y*ml")))
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


async def watch(watched: Watched, reload: Callable[[], Awaitable[object]]) -> None:
    """Call `reload` whenever one of the files changes; the set of files may grow with each reload.

    Never raises: a system that watches no more files is logged, and the server goes on without.
    """
    from watchfiles import awatch  # noqa: PLC0415 - only who watches waits for its import

    while True:
        folders = watched.folders
        try:
            async for _ in awatch(
                *filter(Path.is_dir, folders), watch_filter=None, recursive=False
            ):
                if watched.has_changed():
                    await reload()
                if watched.folders != folders:
                    break
        except FileNotFoundError:
            await trio.sleep(RETRY_S)
        except OSError as error:
            log("task_failed", task="watch", reason=str(error))
            return

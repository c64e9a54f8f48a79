"""Watches the files that a configuration is made of, hook modules included, and reloads when one of them changes.

What counts is whether the files read differently, not which names the system reports: an editor replaces a file, and a
mounted configuration changes where a symbolic link points.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TypeAlias

import trio

from channeld.plan.hook_import import hook_modules
from channeld.plan.plan import Plan
from channeld.telemetry import log

RETRY_S = 1.0
"""Seconds until a folder that is gone is looked for again."""
LOOK_MS = 1000
"""Milliseconds between two looks at the files, whatever the system tells."""

_Mark: TypeAlias = tuple[int, int, int] | tuple[str, ...] | None


class Watched:
    """The files of the last check, each with the mark by which a change is known."""

    def __init__(self) -> None:
        self.folders: frozenset[Path] = frozenset()
        self._modules: dict[str, Path] = {}
        self._hooks: frozenset[str] = frozenset()
        self._files: set[Path] = set()
        self._marks: dict[Path, _Mark] = {}

    def look(self) -> frozenset[str]:
        """To be called just before the files are read: what they are like from now on is not a change.

        Returns:
            The modules to import afresh: those that have changed, and with one that hooks import, the hooks' own.
        """
        changed = {
            name for name, file in self._modules.items() if _mark(file) != self._marks.get(file)
        }
        self._marks = {file: _mark(file) for file in self._marks}
        return frozenset(changed | self._hooks if changed - self._hooks else changed)

    def take(self, files: Iterable[str], plan: Plan | None) -> None:
        """Remember what was read. After a failed check (no plan) what was known before stays watched."""
        read = {Path(file).absolute() for file in files if file != "<stdin>"}
        if plan is not None:
            self._hooks = frozenset(plan.hook_modules)
            self._modules = _own_modules(plan.config.hooks.path)
        else:
            read |= self._files
        self._files = read
        # A folder of YAML files is watched for its names as well: `include` may mean one that is new.
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
    ended = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_tell_end, ended)
        try:
            while True:
                await _watch_folders(watched, reload, ended)
        except OSError as error:
            log("task_failed", task="watch", reason=str(error))
        nursery.cancel_scope.cancel()


async def _tell_end(ended: trio.Event) -> None:
    # The thread that waits for the system looks at this event, and at nothing that trio could cancel.
    try:
        await trio.sleep_forever()
    finally:
        ended.set()


async def _watch_folders(
    watched: Watched, reload: Callable[[], Awaitable[object]], ended: trio.Event
) -> None:
    """Returns when the folders have become others, or all of them are gone for a moment."""
    from watchfiles import awatch  # noqa: PLC0415 - only who watches waits for its import

    folders = watched.folders
    here = [folder for folder in folders if folder.is_dir()]
    if not here:
        await trio.sleep(RETRY_S)
        return
    # Now and then it looks without being told: not every file system tells, and this one may not watch yet.
    changes = awatch(
        *here,
        watch_filter=None,
        recursive=False,
        stop_event=ended,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
    )
    with suppress(FileNotFoundError):
        async with aclosing(changes):
            async for _ in changes:
                if watched.has_changed():
                    await reload()
                if watched.folders != folders:
                    return

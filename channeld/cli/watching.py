"""Watches the files of a configuration, including hook modules, and reloads when one changes.

What counts is whether files' contents differ, not which names the system reports: editors replace files, and mounted
configurations change symbolic links.
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
"""How many seconds to wait before looking for a missing folder again."""
LOOK_MS = 1000
"""How many milliseconds pass between two checks of the files, even if the system reports no change."""

_Mark: TypeAlias = tuple[int, int, int] | tuple[str, ...] | None


class Watched:
    """The files of the last check, each with a mark that changes with its content."""

    def __init__(self) -> None:
        self.folders: frozenset[Path] = frozenset()
        self._modules: dict[str, Path] = {}
        self._hooks: frozenset[str] = frozenset()
        self._files: set[Path] = set()
        self._marks: dict[Path, _Mark] = {}

    def look(self) -> frozenset[str]:
        """Note the state of the files; call it just before they are read.

        Returns:
            The modules to import again: changed ones and, if those are imported by hooks, the hooks' own.
        """
        changed = {
            name for name, file in self._modules.items() if _mark(file) != self._marks.get(file)
        }
        self._marks = {file: _mark(file) for file in self._marks}
        return frozenset(changed | self._hooks if changed - self._hooks else changed)

    def take(self, files: Iterable[str], plan: Plan | None) -> None:
        """Record what was read. After a failed check (no plan), earlier files stay watched as well."""
        read = {Path(file).absolute() for file in files if file != "<stdin>"}
        if plan is not None:
            self._hooks = frozenset(plan.hook_modules)
            self._modules = _own_modules(plan.config.hooks.path)
        else:
            read |= self._files
        self._files = read
        # A folder of YAML files is also watched for new names, which `include` may match.
        lists = {file.parent for file in read if file.suffix in (".yaml", ".yml")}
        watched = read | lists | set(self._modules.values())
        self._marks = {file: self._marks.get(file) or _mark(file) for file in watched}
        plain = {file if file in lists else file.parent for file in watched}
        self.folders = frozenset(plain | {file.resolve().parent for file in watched - lists})

    def has_changed(self) -> bool:
        """Whether any file differs from the last look."""
        return any(_mark(file) != mark for file, mark in self._marks.items())


def _own_modules(root: str) -> dict[str, Path]:
    """The imported modules of a configuration's own folder, without packages installed below it."""
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
    """Call `reload` whenever one of the files changes. Each reload may change the set of files.

    Never raises: if the system can't watch more files, that is logged and the server continues.
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
    # The waiting thread checks this event; trio cannot cancel it.
    try:
        await trio.sleep_forever()
    finally:
        ended.set()


async def _watch_folders(
    watched: Watched, reload: Callable[[], Awaitable[object]], ended: trio.Event
) -> None:
    """Watch until the set of folders changes, or until none of them exists."""
    from watchfiles import awatch  # noqa: PLC0415 - only who watches waits for its import

    folders = watched.folders
    here = [folder for folder in folders if folder.is_dir()]
    if not here:
        await trio.sleep(RETRY_S)
        return
    # Also look periodically: not every file system reports changes, and watching may not have begun yet.
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

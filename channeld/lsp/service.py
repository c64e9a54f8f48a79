"""The language server without its connection: takes documents, gives findings and answers.

A change is checked in two steps. After a short delay that collects keystrokes, `quick` checks what was edited, and findings
are sent; after a longer pause, the worker checks the whole.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import attrs

from channeld.lsp.answers import Answers
from channeld.lsp.buffers import Buffer, name_of, uri_of
from channeld.lsp.checking import Checkup
from channeld.lsp.findings import published
from channeld.lsp.projects import Projects
from channeld.lsp.worker_link import Checks
from channeld.protocol.frames import Json

_SOON: Final = 0.01
_LATER: Final = 0.25

Edit: TypeAlias = tuple[tuple[int, int, int, int] | None, str]
"""Start line and unit, end line and unit (None: the whole text), and what comes in their place."""


@attrs.define(eq=False)
class Service:
    """The state of one connection. `notify(method, params)` sends to the client."""

    notify: Callable[[str, Json], None]
    projects: Projects = attrs.field(factory=Projects)
    checks: Checks = attrs.field(init=False)
    answers: Answers = attrs.field(init=False)
    _sent: dict[str, Json] = attrs.field(factory=dict)
    _changed: set[str] = attrs.field(factory=set)
    _soon: asyncio.TimerHandle | None = None
    _later: asyncio.TimerHandle | None = None
    _asked: set[str] = attrs.field(factory=set)
    _tasks: set[asyncio.Task[None]] = attrs.field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.checks = Checks(self._found, self._failed)
        self.answers = Answers(self.projects, self.uri_of)

    # ------------------------------------------------------------------------------------------------ documents

    def opened(self, uri: str, text: str, version: int | None) -> None:
        """Add a document that the editor has opened."""
        name = self.projects.open(uri, Buffer.of(text, self.projects.encoding, version))
        self._ask_later([name])

    def changed(self, uri: str, edits: Sequence[Edit], version: int | None) -> None:
        """Apply an edit; it is ignored if the document is not open."""
        name = name_of(uri)
        if name not in self.projects.buffers:
            return
        for where, text in edits:
            buffer = self.projects.buffers[name]
            if where is None:
                self.projects.replace(name, text, version)
                continue
            start, end = buffer.caret(*where[:2]), buffer.caret(*where[2:])
            self.projects.edit(name, min(start, end), max(start, end), text)
        self.projects.buffers[name].version = version
        self._changed.add(name)
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(_SOON, self._quick)
        self._ask_later(self.projects.concerned(name))

    def closed(self, uri: str) -> None:
        """Drop a document that the editor has closed."""
        name = name_of(uri)
        if name not in self.projects.buffers:
            return
        concerned = self.projects.concerned(name)
        self.projects.close(uri)
        self._changed.discard(name)
        for root in [*self.projects.shown, name]:
            if not self.projects.is_wanted(root):
                self.projects.forget(root)
                self.checks.drop(root)
        self._publish()
        self._ask_later(root for root in concerned if self.projects.is_wanted(root))

    def files_changed(self) -> None:
        """Check again after files on disk have changed."""
        self._ask_later(root for root in self.projects.shown if self.projects.is_wanted(root))

    async def close(self) -> None:
        """Close the connection."""
        for handle in (self._soon, self._later):
            if handle is not None:
                handle.cancel()
        # A process has to be fully started before it can be ended.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.checks.close()

    # ------------------------------------------------------------------------------------------------- findings

    def _ask_later(self, names: Iterable[str]) -> None:
        self._asked |= set(names)
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(
            _LATER if self._changed else _SOON, self._ask
        )

    def _quick(self) -> None:
        self._soon = None
        changed, self._changed = self._changed, set()
        roots = [self.projects.quick(name) for name in changed]
        if any(roots):
            self._publish()

    def _ask(self) -> None:
        self._later = None
        asked, self._asked = self._asked, set()
        texts = self.projects.texts
        for name in sorted(asked):
            self.checks.drop(name)
            task = asyncio.get_running_loop().create_task(self.checks.ask(name, texts))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _found(self, name: str, checkup: Checkup) -> None:
        if not (self.projects.is_wanted(name) or checkup.root in self.projects.buffers):
            return
        if name in self._asked:
            return  # a newer text is on its way
        self.projects.settle(name, checkup)
        self._publish()

    def _failed(self, text: str) -> None:
        self.notify("window/logMessage", {"type": 1, "message": text})

    def _publish(self) -> None:
        """Send the findings of each file for which they have changed."""
        files = {one.place.file for findings in self.projects.shown.values() for one in findings}
        for name in sorted(files | self._sent.keys()):
            findings = published(self.projects.of_document(name), self.projects.buffer, self.uri_of)
            if findings == self._sent.get(name, []):
                continue
            params: dict[str, Json] = {"uri": self.uri_of(name), "diagnostics": findings}
            buffer = self.projects.buffers.get(name)
            if buffer is not None and buffer.version is not None:
                params["version"] = buffer.version
            self.notify("textDocument/publishDiagnostics", params)
            if findings:
                self._sent[name] = findings
            else:
                self._sent.pop(name, None)

    def uri_of(self, name: str) -> str:
        """The URI of a file, as written by the client if it is open."""
        return self.projects.uris.get(name) or uri_of(name)

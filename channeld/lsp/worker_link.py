"""The server's side of the worker process: sends requests, receives answers, and restarts the process if it ends."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import attrs

from channeld.lsp.checking import Checkup
from channeld.lsp.worker import Reported, Wanted, framed, read_framed_async

_PATIENCE_S: Final = 5.0

# `-P`: modules in the editor's folder must not shadow ours. Not `-m`: the module's classes would be `__main__`'s there, and
# not those that are sent.
_COMMAND: Final = (sys.executable, "-P", "-c", "from channeld.lsp.worker import main; main()")


@attrs.define(eq=False)
class Checks:
    """Sends requests to the worker. `found(name, checkup)` gets each current answer, `failed(text)` failures."""

    found: Callable[[str, Checkup], None]
    failed: Callable[[str], None]
    command: tuple[str, ...] = _COMMAND
    _process: asyncio.subprocess.Process | None = None
    _answers: asyncio.Task[None] | None = None
    _starting: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    _numbers: dict[str, int] = attrs.field(factory=dict)
    _last: int = 0

    async def ask(self, name: str, texts: Mapping[str, str]) -> None:
        """Request a check of a document; an earlier request for it is dropped."""
        self._last += 1
        number = self._numbers[name] = self._last
        process = await self._started()
        if self._numbers.get(name) != number or process.stdin is None:
            return
        process.stdin.write(framed(Wanted(number=number, name=name, texts=texts)))
        with suppress(ConnectionError):
            await process.stdin.drain()

    def drop(self, name: str) -> None:
        """Drop requests for a document."""
        self._numbers.pop(name, None)

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is pending."""
        return bool(self._numbers)

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            await process.wait()
        if self._answers is not None:
            self._answers.cancel()
            with suppress(asyncio.CancelledError):
                await self._answers
        if process is not None and process.stdout is not None:
            # Its transport closes at the end of the output; a cancelled reader would leave it open.
            with suppress(TimeoutError):
                await asyncio.wait_for(process.stdout.read(), _PATIENCE_S)

    async def _started(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                pipe = asyncio.subprocess.PIPE
                process = await asyncio.create_subprocess_exec(
                    *self.command, stdin=pipe, stdout=pipe
                )
                self._process = process
                self._answers = asyncio.create_task(self._read(process))
            return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - asyncio's type can't say which are pipes
        while isinstance(answer := await read_framed_async(process.stdout), Reported):
            if self._numbers.get(answer.name) != answer.number:
                continue
            del self._numbers[answer.name]
            if answer.checkup is None:
                self.failed(answer.failure)
            else:
                self.found(answer.name, answer.checkup)
        # Unanswered requests are repeated with the next change.
        self._numbers.clear()
        await process.wait()

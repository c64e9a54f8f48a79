"""The worker process that checks whole configurations, so that the server process never waits for it.

It reads requests from standard input and forks a child for each, with everything already imported. A newer request with the
same key kills the older one's child, so only the latest version is checked.

    request    a pickled `Wanted`, after its length in 8 bytes
    answer     a pickled `Reported`, in the same way
"""

import asyncio
import fcntl
import gc
import io
import os
import pickle
import signal
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import IO, Final

import attrs

from channeld.lsp.checking import Checkup, whole

_IMPORTED: Final = (
    "channeld.plan.compile", "channeld.schema.schema_file", "channeld.scenarios.suite", "channeld.scenarios.structure",
)  # fmt: skip

_HEAD: Final = struct.Struct(">Q")


@attrs.frozen(slots=True, kw_only=True)
class Wanted:
    """A document to check: `number` comes back with the answer, `texts` are the open documents."""

    number: int
    name: str
    texts: Mapping[str, str] = attrs.field(repr=False)


@attrs.frozen(slots=True, kw_only=True)
class Reported:
    """The result of a request. `checkup` is None after a bug, which `failure` describes."""

    number: int
    name: str
    checkup: Checkup | None = None
    failure: str = ""


def framed(value: object) -> bytes:
    """A value with its length prefix, pickled."""
    data = pickle.dumps(value)
    return _HEAD.pack(len(data)) + data


def read_framed(stream: IO[bytes]) -> object:
    """Read the next value of a stream; None at its end."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    return pickle.loads(stream.read(_HEAD.unpack(head)[0]))  # noqa: S301 - our own process wrote it


async def read_framed_async(stream: asyncio.StreamReader) -> object:
    """As `read_framed`, asynchronously."""
    try:
        head = await stream.readexactly(_HEAD.size)
        return pickle.loads(await stream.readexactly(_HEAD.unpack(head)[0]))  # noqa: S301 - as above
    except asyncio.IncompleteReadError:
        return None


def answer(wanted: Wanted, check: Callable[[str, Mapping[str, str]], Checkup] = whole) -> Reported:
    """Run a check; a bug is reported rather than raised."""
    try:
        checkup = check(wanted.name, wanted.texts)
    except Exception:  # no file may prevent an answer
        return Reported(number=wanted.number, name=wanted.name, failure=traceback.format_exc())
    return Reported(number=wanted.number, name=wanted.name, checkup=checkup)


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until their stream ends."""
    children: dict[str, int] = {}
    with tempfile.TemporaryFile() as lock:
        gc.freeze()
        while isinstance(wanted := read_framed(requests), Wanted):
            _end(children.pop(wanted.name, None))
            children[wanted.name] = _fork(wanted, answers, lock.fileno())
        for child in children.values():
            _end(child)


def _fork(wanted: Wanted, answers: IO[bytes], lock: int) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        data = framed(answer(wanted))
        # From here on, the child must not be killed within an answer, and two must not write at once.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        fcntl.lockf(lock, fcntl.LOCK_EX)
        answers.write(data)
        answers.flush()
        status = 0
    finally:
        os._exit(status)


def _end(child: int | None) -> None:
    if child is not None:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)


def main() -> None:
    """Serve on standard input and output; anything printed goes to standard error."""
    for module in _IMPORTED:
        import_module(module)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(KeyboardInterrupt, BrokenPipeError):
        serve(io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False)), answers)

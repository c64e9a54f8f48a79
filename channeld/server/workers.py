"""Several processes for one server: a parent that keeps them running, and what a worker says to its parent.

The parent serves nobody. It holds the addresses (bound with SO_REUSEPORT, not listened on), starts each worker as a
fresh interpreter, and gives it its spec through a socket pair. A worker binds the addresses for itself, and the
kernel deals the connections out. `ready` comes back through the pair; its end tells a worker that the parent is gone
(it drains), and the parent that a worker is.

A worker that ends is replaced: after a pause that grows while workers do not live long. One that cannot start at all,
the first time or `MOST_FAILURES` times in a row, ends everything, with a message.
"""

import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack

import attrs
import orjson
import trio

from channeld.server.broker_link import Place
from channeld.server.sockets import BindError, bind, named
from channeld.server.systemd import notify
from channeld.telemetry import log, toggle_debug

__all__ = ["Supervisor", "WorkerChannel", "WorkerSpec", "WorkersFailed", "reserve"]

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
MOST_FAILURES = 5
# Who lived this long did not fail because of how it was started.
LONG_LIFE = 30.0
# After the second signal a worker has this long.
LAST_MERCY = 5.0


class WorkersFailed(Exception):
    """A worker could not start, or did not end well; the message says which."""


@attrs.frozen(slots=True, kw_only=True)
class WorkerSpec:
    """What a worker is told: its place, where to listen, and secrets that were made up for all (`--dev`)."""

    number: int
    group: str
    broker_url: str | None
    addresses: Sequence[str]
    generated: Mapping[str, str]

    @property
    def place(self) -> Place:
        """Its place."""
        return Place(number=self.number, group=self.group, broker_url=self.broker_url)


class WorkerChannel:
    """A worker's end of the pair; `descriptor` was inherited."""

    def __init__(self, descriptor: int) -> None:
        """Read the spec that the parent writes.

        Raises:
            OSError: the descriptor is none that a parent gave.
        """
        self._socket = socket.socket(fileno=descriptor)
        with ExitStack() as undo:
            undo.callback(self._socket.close)
            self._socket.set_inheritable(False)
            self._socket.settimeout(10)
            with self._socket.makefile("rb") as lines:
                text = lines.readline()
            if not text:
                raise OSError("the parent is gone")
            self._socket.setblocking(False)
            self.spec = WorkerSpec(**orjson.loads(text))
            undo.pop_all()

    def say_ready(self) -> None:
        """It listens."""
        try:
            self._socket.send(b"ready\n")
        except OSError:
            return  # the parent is gone; `wait_orphaned` tells

    async def wait_orphaned(self) -> None:
        """Wait until the parent is gone."""
        async with trio.SocketStream(trio.socket.from_stdlib_socket(self._socket)) as stream:
            try:
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                return


def reserve(
    addresses: Sequence[str], *, beside: bool = False
) -> tuple[list[socket.socket], list[str]]:
    """Take addresses for workers: bound sockets that are not listened on, and the addresses with their ports.

    With `beside` also where another server of the same user listens.

    Raises:
        BindError: one is taken, not ours to bind, or a Unix socket.
    """
    for address in addresses:
        if address == "systemd":
            raise BindError("Cannot listen on systemd: several workers cannot share its sockets")
        if address.startswith("unix:"):
            raise BindError(
                f"Cannot listen on {address}: several workers cannot share a Unix socket"
            )
    # Not listened on: the kernel would deal connections out to them as well.
    reserved = bind(addresses, beside=beside, listens=False)
    for sock in reserved:
        # With it on both sides, another server could be bound here as long as no worker listens.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return reserved, [named(sock) for sock in reserved]


@attrs.define(eq=False)
class _Worker:
    process: trio.Process
    line: trio.SocketStream
    started: float
    is_ready: bool = False
    is_outdated: bool = False

    def tell(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)


class Supervisor:
    """The workers of one server.

    Args:
        command: what starts a worker; the descriptor of its end of the pair is added.
        count: how many.
        addresses: as `reserve` returned them.
        broker_url: of the Valkey that the parent runs for all.
        generated: values that were made up for missing environment variables.
        on_ready: called once, when all workers serve.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        *,
        addresses: Sequence[str],
        broker_url: str | None = None,
        generated: Mapping[str, str] | None = None,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._command = command
        self._count = count
        self._addresses = addresses
        self._broker_url = broker_url
        self._generated = generated or {}
        self._on_ready = on_ready
        self._group = secrets.token_urlsafe(12)
        self._workers: dict[int, _Worker] = {}
        self._been_ready: set[int] = set()
        self._stop = trio.Event()
        self._forced = trio.Event()
        self._failure = ""

    async def run(self) -> None:
        """Start the workers and keep them, until SIGTERM or SIGINT; then all drain. SIGHUP and SIGUSR1 are passed on to all.

        Raises:
            WorkersFailed: one could not start, or one failed while it drained.
        """
        kinds = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
        with trio.open_signal_receiver(*kinds) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, signals)
                async with trio.open_nursery() as keepers:
                    for number in range(self._count):
                        keepers.start_soon(self._keep, number)
                nursery.cancel_scope.cancel()
        if self._failure:
            raise WorkersFailed(self._failure)

    @property
    def is_forced(self) -> bool:
        """Whether somebody asked a second time."""
        return self._forced.is_set()

    def stop(self) -> None:
        """Let all workers drain; `run` returns when they have. The second call ends them at once."""
        if self._stop.is_set():
            self._forced.set()
        else:
            notify("STOPPING=1")
        self._stop.set()
        for worker in self._workers.values():
            worker.tell(signal.SIGTERM)

    async def _obey(self, signals: AsyncIterator[int]) -> None:
        was_on_terminal = sys.stderr.isatty()
        async for number in signals:
            if number == signal.SIGUSR1:
                self._toggle_debug()
                continue
            if number != signal.SIGHUP or (was_on_terminal and not sys.stderr.isatty()):
                self.stop()
                continue
            for worker in self._workers.values():
                if worker.is_ready:
                    worker.tell(signal.SIGHUP)
                else:
                    # It may have read the old files already; and before it is ready SIGHUP would end it.
                    worker.is_outdated = True

    def _toggle_debug(self) -> None:
        toggle_debug()
        for worker in self._workers.values():
            # Before it is ready the signal would end it; it begins with the configured level.
            if worker.is_ready:
                worker.tell(signal.SIGUSR1)

    # ------------------------------------------------------------------------------------------------ one worker

    async def _keep(self, number: int) -> None:
        pause, failures = FIRST_PAUSE, 0
        while not self._stop.is_set():
            worker = await self._start(number)
            status = await self._live(number, worker)
            lived = time.monotonic() - worker.started
            if self._stop.is_set():
                # One that was told to end while it started had nobody to send away, and says that by its status.
                is_well = status in (0, -signal.SIGTERM) or not worker.is_ready
                if not is_well and not self.is_forced:
                    self._fail(f"worker {number} ended with status {status}")
                return
            failures = 0 if worker.is_ready else failures + 1
            pid = worker.process.pid
            log("worker_ended", number=number, pid=pid, status=status, seconds=round(lived, 3))
            if failures and (number not in self._been_ready or failures >= MOST_FAILURES):
                self._fail(f"worker {number} could not start: it ended with status {status}")
                return
            if lived > LONG_LIFE:
                pause = FIRST_PAUSE
            with trio.move_on_after(pause):
                await self._stop.wait()
            pause = min(pause * 2, LONGEST_PAUSE)

    def _fail(self, message: str) -> None:
        self._failure = self._failure or message
        if not self._stop.is_set():
            self.stop()

    async def _start(self, number: int) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            # A group of its own: Ctrl-C is for the parent, which tells each worker once.
            process = await trio.lowlevel.open_process(
                [*self._command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                process_group=0,
            )
        ours.setblocking(False)
        line = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        worker = self._workers[number] = _Worker(process, line, time.monotonic())
        if self._stop.is_set():
            worker.tell(signal.SIGTERM)
        return worker

    async def _live(self, number: int, worker: _Worker) -> int:
        spec = WorkerSpec(
            number=number,
            group=self._group,
            broker_url=self._broker_url,
            addresses=self._addresses,
            generated=self._generated,
        )
        try:
            async with worker.line, trio.open_nursery() as nursery:
                text = orjson.dumps(attrs.asdict(spec)) + b"\n"
                nursery.start_soon(self._listen, number, worker, text)
                nursery.start_soon(self._hasten, worker)
                status = await worker.process.wait()
                nursery.cancel_scope.cancel()
            return status
        finally:
            with trio.CancelScope(shield=True):
                if worker.process.poll() is None:
                    worker.process.kill()
                await worker.process.wait()

    async def _listen(self, number: int, worker: _Worker, spec: bytes) -> None:
        """Tell the worker its spec, and hear when it is ready."""
        try:
            await worker.line.send_all(spec)
            while await worker.line.receive_some():
                self._note_ready(number, worker)
        except trio.BrokenResourceError:
            return

    def _note_ready(self, number: int, worker: _Worker) -> None:
        worker.is_ready = True
        log("worker_started", number=number, pid=worker.process.pid)
        if worker.is_outdated:
            worker.tell(signal.SIGHUP)
        if number not in self._been_ready:
            self._been_ready.add(number)
            if len(self._been_ready) == self._count:
                self._on_ready()
                notify("READY=1")

    async def _hasten(self, worker: _Worker) -> None:
        # What a hook does in a thread may reserve it.
        await self._forced.wait()
        await trio.sleep(LAST_MERCY)
        worker.tell(signal.SIGKILL)

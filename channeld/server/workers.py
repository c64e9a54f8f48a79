"""Several processes for one server: a parent that keeps workers running, and the channel between the two.

The parent serves no clients. It reserves the addresses (bound with SO_REUSEPORT, not listened on), starts each worker as a
fresh interpreter, and passes it its spec through a socket pair. Each worker binds the addresses itself, and the kernel
distributes the connections. A worker reports its states through the pair as a service does to systemd, and the parent
reports the sum to systemd. When the pair closes, a worker knows that its parent is gone (and drains), and the parent that a
worker is.

One worker serves the control API, on sockets that the parent bound and passes through the pair. When that worker ends, the
next one gets them; clients of the API wait meanwhile and are not refused. The parent keeps the measurements that it had
collected.

If the service manager has a watchdog, a worker whose loop hangs is killed as the service manager would kill a single
process. A worker that ends is replaced, after a pause that grows while workers are short-lived. If a worker cannot start
the first time, or `MOST_FAILURES` times in a row, everything ends with a message.
"""

import array
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial

import attrs
import orjson
import trio

from channeld.server.broker_link import WorkerPlace
from channeld.server.sockets import BindError, bind, listen, named
from channeld.server.systemd import keep_watchdog, notify, reloading, watchdog_interval
from channeld.telemetry import log, toggle_debug

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
MOST_FAILURES = 5
# A worker that lived this long did not fail because of its configuration.
LONG_LIFE = 30.0
# Seconds that a worker has after the second signal.
LAST_MERCY = 5.0
# How long a scrape waits for a parent that does not read, and the parent for the last bytes of a worker that ended.
PATIENCE = 1.0
_READ, _MOST_SOCKETS, _WAITING = 65536, 64, 16


class WorkersFailed(Exception):
    """A worker could not start, or failed; the message says which."""


@attrs.frozen(slots=True, kw_only=True)
class WorkerSpec:
    """What a worker is told: its place, where to listen, and generated secrets that all share (`--dev`).

    `addresses` come from `reserve`; `broker_url` is the Valkey that the parent runs for all.
    """

    number: int = 0
    group: str = attrs.field(factory=partial(secrets.token_urlsafe, 12))
    broker_url: str | None = None
    addresses: Sequence[str] = ()
    generated: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def place(self) -> WorkerPlace:
        """Its place."""
        return WorkerPlace(number=self.number, group=self.group, broker_url=self.broker_url)


class WorkerChannel:
    """A worker's end of the pair; `descriptor` was inherited."""

    def __init__(self, descriptor: int) -> None:
        """Read the spec that the parent writes.

        Raises:
            OSError: the descriptor was not passed by a parent.
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
        self._to_write, self._written = trio.open_memory_channel[tuple[bytes, trio.Event]](_WAITING)

    def say(self, state: str) -> None:
        """Report a state, as `systemd.notify` takes it. Never raises, even if the parent hangs."""
        with suppress(trio.WouldBlock):
            self._to_write.send_nowait((state.encode(), trio.Event()))

    async def keep(self, pack: Callable[[], bytes]) -> None:
        """Send this process's measurements to the parent; returns when they are sent, or after `PATIENCE`."""
        is_sent = trio.Event()
        with trio.move_on_after(PATIENCE):
            await self._to_write.send((pack(), is_sent))
            await is_sent.wait()

    async def obey(self, serve_api: Callable[[Sequence[socket.socket], bytes], None]) -> None:
        """Wait for the API's sockets and earlier measurements (may be empty), until the parent is gone."""
        with trio.socket.from_stdlib_socket(self._socket) as line:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, trio.SocketStream(line))
                text, sockets = bytearray(), list[socket.socket]()
                with suppress(OSError):
                    while data := await _receive(line, sockets):
                        text += data
                        if text.endswith(b"\n"):
                            serve_api(sockets, bytes(text[:-1]))
                            text, sockets = bytearray(), []
                nursery.cancel_scope.cancel()

    async def _write(self, line: trio.SocketStream) -> None:
        # A task of its own: a scrape may be cancelled, and must not leave a message half-sent.
        with suppress(trio.BrokenResourceError):
            async for text, is_sent in self._written:
                await line.send_all(text + b"\n")
                is_sent.set()


async def _receive(line: trio.socket.SocketType, sockets: list[socket.socket]) -> bytes:
    """The next bytes; sockets passed along with them are added to the list."""
    room = socket.CMSG_SPACE(_MOST_SOCKETS * array.array("i").itemsize)
    data, extra, _flags, _address = await line.recvmsg(_READ, room)
    for _level, _kind, packed in extra:
        sockets += (socket.socket(fileno=number) for number in array.array("i", packed))
    return data


def reserve(
    addresses: Sequence[str], *, beside: bool = False
) -> tuple[list[socket.socket], list[str]]:
    """Reserve addresses for workers: returns sockets that are bound but not listening, and the addresses with their ports.

    With `beside`, even if another server of the same user listens there.

    Raises:
        BindError: one is in use, not permitted, or a Unix socket.
    """
    for address in addresses:
        if address == "systemd":
            raise BindError("Cannot listen on systemd: several workers cannot share its sockets")
        if address.startswith("unix:"):
            raise BindError(
                f"Cannot listen on {address}: several workers cannot share a Unix socket"
            )
    # Not listening: otherwise the kernel would give them connections as well.
    reserved = bind(addresses, beside=beside, listens=False)
    for sock in reserved:
        # With it on both, another server could bind here as long as no worker listens.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return reserved, [named(sock) for sock in reserved]


@attrs.define(eq=False)
class _Worker:
    process: trio.Process
    line: trio.SocketStream
    started: float
    is_ready: bool = False
    is_outdated: bool = False
    is_reloading: bool = False
    is_heard: bool = False  # since the last look, for the watchdog
    has_ended: trio.Event = attrs.field(factory=trio.Event)

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    def tell(self, number: signal.Signals) -> None:
        if not self.is_over:
            self.process.send_signal(number)


class Supervisor:
    """The workers of one server.

    Args:
        command: starts a worker; the descriptor of its end of the pair is appended.
        count: the number of workers.
        spec: what each is told, without its number.
        api: the control API's sockets.
        on_ready: called once, when all workers are ready.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        spec: WorkerSpec,
        *,
        api: Sequence[socket.socket] = (),
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._command = command
        self._count = count
        self._spec = spec
        self._on_ready = on_ready
        self._api = api
        self._has_api: _Worker | None = None
        self._to_see = trio.Event()
        self._measured = b""
        self._is_reloading = False
        self._workers: dict[int, _Worker] = {}
        self._been_ready: set[int] = set()
        self._watchdog = watchdog_interval(os.getpid())
        self._stop = trio.Event()
        self._forced = trio.Event()
        self._failure = ""

    async def run(self, early: Iterable[int] = ()) -> None:
        """Start the workers and keep them, until SIGTERM or SIGINT; then all drain. SIGHUP and SIGUSR1 are passed on to all.

        Raises:
            WorkersFailed: one could not start, or one failed while it drained.
        """
        kinds = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
        with trio.open_signal_receiver(*kinds) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, early, signals)
                nursery.start_soon(self._pass_api_on)
                nursery.start_soon(keep_watchdog, notify, self._watchdog)
                async with trio.open_nursery() as keepers:
                    for number in range(self._count):
                        keepers.start_soon(self._keep, number)
                nursery.cancel_scope.cancel()
        if self._failure:
            raise WorkersFailed(self._failure)

    @property
    def is_forced(self) -> bool:
        """Whether `stop` was called twice."""
        return self._forced.is_set()

    def stop(self) -> None:
        """Drain all workers; `run` returns when they have ended. A second call ends them at once."""
        if self._stop.is_set():
            self._forced.set()
        else:
            notify("STOPPING=1")
        self._stop.set()
        for sock in self._api:
            # The worker has its own; while ours listen, a successor would not get all connections.
            if sock.family != socket.AF_UNIX:
                sock.close()
        for worker in self._workers.values():
            worker.tell(signal.SIGTERM)

    async def _obey(self, early: Iterable[int], signals: AsyncIterator[int]) -> None:
        was_on_terminal = sys.stderr.isatty()
        for number in early:
            self._act(number)
        async for number in signals:
            is_gone = was_on_terminal and not sys.stderr.isatty()
            self._act(signal.SIGTERM if is_gone and number == signal.SIGHUP else number)

    def _act(self, number: int) -> None:
        if number == signal.SIGUSR1:
            self._toggle_debug()
        elif number == signal.SIGHUP:
            self._reload()
        else:
            self.stop()

    def _reload(self) -> None:
        self._note_reloading()
        for worker in self._workers.values():
            if worker.is_ready:
                worker.is_reloading = True
                worker.tell(signal.SIGHUP)
            else:
                # It may already have read the old files, and while Python starts SIGHUP would kill it.
                worker.is_outdated = True

    def _toggle_debug(self) -> None:
        toggle_debug()
        for worker in self._workers.values():
            # Before it is ready the signal would kill it; it starts at the configured level.
            if worker.is_ready:
                worker.tell(signal.SIGUSR1)

    # ------------------------------------------------------------------------------------------------ one worker

    async def _keep(self, number: int) -> None:
        pause, failures = FIRST_PAUSE, 0
        while not self._stop.is_set():
            worker = await self._start(number)
            status = await self._live(number, worker)
            worker.is_reloading = False
            self._to_see.set()
            self._note_reloaded()
            lived = time.monotonic() - worker.started
            if self._stop.is_set():
                # A worker that was told to end while starting had no clients, and ends with its signal's status.
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
        try:
            async with worker.line, trio.open_nursery() as nursery:
                spec = attrs.evolve(self._spec, number=number)
                text = orjson.dumps(attrs.asdict(spec)) + b"\n"
                nursery.start_soon(self._listen, number, worker, text)
                nursery.start_soon(self._hasten, worker)
                nursery.start_soon(self._guard, number, worker)
                status = await worker.process.wait()
                with trio.move_on_after(PATIENCE):
                    await worker.has_ended.wait()
                nursery.cancel_scope.cancel()
            return status
        finally:
            with trio.CancelScope(shield=True):
                if not worker.is_over:
                    worker.process.kill()
                await worker.process.wait()

    async def _listen(self, number: int, worker: _Worker, spec: bytes) -> None:
        """Send the worker its spec, and read its states and measurements until it closes the pair."""
        with suppress(trio.BrokenResourceError):
            await worker.line.send_all(spec)
            text = bytearray()
            async for data in worker.line:
                *lines, text = (text + data).split(b"\n")
                for line in lines:
                    self._hear(number, worker, bytes(line))
        worker.has_ended.set()

    def _hear(self, number: int, worker: _Worker, line: bytes) -> None:
        if line.startswith(b"{"):
            self._measured = line
        elif line == b"WATCHDOG=1":
            worker.is_heard = True
        elif line == b"RELOADING=1":
            self._note_reloading()
            worker.is_reloading = True
        elif line == b"READY=1" and worker.is_ready:
            worker.is_reloading = False
            self._note_reloaded()
        elif line == b"READY=1":
            self._note_ready(number, worker)

    def _note_reloading(self) -> None:
        if not self._is_reloading:
            self._is_reloading = True
            notify(reloading())

    def _note_reloaded(self) -> None:
        if self._is_reloading and not any(one.is_reloading for one in self._workers.values()):
            self._is_reloading = False
            notify("READY=1")

    def _note_ready(self, number: int, worker: _Worker) -> None:
        worker.is_ready = True
        self._to_see.set()
        log("worker_started", number=number, pid=worker.process.pid)
        if worker.is_outdated:
            worker.tell(signal.SIGHUP)
        if number not in self._been_ready:
            self._been_ready.add(number)
            if len(self._been_ready) == self._count:
                self._on_ready()
                notify("READY=1")

    async def _pass_api_on(self) -> None:
        """Whenever no worker serves the API, pass its sockets to one that is ready."""
        while True:
            await self._to_see.wait()
            self._to_see = trio.Event()
            able = [one for one in self._workers.values() if one.is_ready and not one.is_over]
            if self._api and able and self._has_api not in able and not self._stop.is_set():
                self._has_api = able[0]
                # It may have ended by now; then `_keep` causes another look.
                with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._give_api(able[0].line)

    async def _give_api(self, line: trio.SocketStream) -> None:
        for sock in self._api:
            listen(sock)
        numbers = array.array("i", [sock.fileno() for sock in self._api])
        text = self._measured + b"\n"
        passed = (socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)
        sent = await line.socket.sendmsg([text], [passed])
        await line.send_all(text[sent:])

    async def _guard(self, number: int, worker: _Worker) -> None:
        """Kill a worker that is silent for two checks (this process may have been suspended for one); it is replaced."""
        missed = 0
        while self._watchdog:
            await trio.sleep(self._watchdog / 2)
            missed = 0 if worker.is_heard or not worker.is_ready else missed + 1
            worker.is_heard = False
            if missed == 2:
                log("worker_hung", number=number, pid=worker.process.pid, seconds=self._watchdog)
                # As the service manager would: with PYTHONFAULTHANDLER the log shows where it hung.
                worker.tell(signal.SIGABRT)
            elif missed > 2:
                worker.tell(signal.SIGKILL)

    async def _hasten(self, worker: _Worker) -> None:
        # A hook's thread may have it reserved.
        await self._forced.wait()
        await trio.sleep(LAST_MERCY)
        worker.tell(signal.SIGKILL)

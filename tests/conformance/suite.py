"""Plays the Autobahn cases (kosoku's copy of them) against an echo server over one of channeld's paths.

channeld refuses binary messages; Autobahn wants them back. So the fallback reader is given a subclass here that returns them,
which changes nothing else.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Sequence

import kosoku
import trio

from channeld.config.model import Limits, Server
from channeld.plan.plan import Match
from channeld.protocol.websocket import TEXT, encode_text
from channeld.server.admission import Admission
from channeld.server.listener import Server as SocketServer
from channeld.server.outbox import Fanout
from channeld.server.runtime import TrioRuntime
from channeld.server.sockets import bind
from channeld.server.transports.fallback import FallbackReader
from channeld.server.transports.websocket import WebSocket
from tests.server.kit import RecordingEngine, plan, tls_contexts

__all__ = ["PATHS", "Result", "play"]

PATHS = ("lane", "stream", "tls")

Result = tuple[str, str, str]
"""A case's id, its verdict and the verdict of its closing handshake."""

_LARGEST = 17 * 1024 * 1024
_BINARY = 0x82


class _EchoingFallback(FallbackReader):
    __slots__ = ()

    takes_binary = True

    def take_binary(self, message: bytes, now: float) -> Awaitable[None] | None:
        sent = encode_text(message) if self._deflate is None else self._deflate.compress(message)
        self._responder.respond(bytes((sent[0] ^ TEXT ^ _BINARY,)) + sent[1:])
        return None


async def play(path: str, cases: Sequence[str] | None, exclude: Sequence[str]) -> list[Result]:
    """Play cases over one path; the server compresses when it is asked to.

    The fuzzer gives each case a second or so of real time, which a busy machine may use up: what was not strict among
    four at a time is played again, one at a time, and that verdict counts.
    """
    async with _echoing(path) as port:
        results = await trio.to_thread.run_sync(_play, port, cases, exclude, 4)
        odd = [case for case, *verdicts in results if verdicts != ["OK", "OK"]]
        if not odd:
            return results
        again = {row[0]: row for row in await trio.to_thread.run_sync(_play, port, odd, [], 1)}
        return [again.get(row[0], row) for row in results]


def _play(
    port: int, cases: Sequence[str] | None, exclude: Sequence[str], at_a_time: int
) -> list[Result]:
    async def run() -> list[Result]:
        try:
            found = await kosoku.run_fuzzingclient(
                f"ws://127.0.0.1:{port}/", cases, exclude, concurrency=at_a_time
            )
        except kosoku.FailureError as failure:
            found = failure.results
        return [(one.case_id, one.behavior.value, one.behavior_close.value) for one in found]

    return asyncio.run(run())


@contextlib.asynccontextmanager
async def _echoing(path: str) -> AsyncIterator[int]:
    server = Server(compression=True, limits=Limits(message_size=_LARGEST, outbox=4 * _LARGEST))
    base = plan(server, message_size=_LARGEST, outbox=4 * _LARGEST)
    echo = Match(base.channels["echo"], {})
    runtime = TrioRuntime()
    admission = Admission(
        engine=RecordingEngine(keeps_messages=False),
        plan_source=lambda: plan_of_now,
        runtime=runtime,
        fanout=Fanout(),
        transports=(WebSocket(_EchoingFallback),),
    )
    plan_of_now = type(base)(
        config=base.config,
        server=server,
        limits=server.limits,
        channels=base.channels,
        match=lambda _path: echo,
        lifespans=(),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(runtime.run)
        listeners = bind(["127.0.0.1:0"])
        port: int = listeners[0].getsockname()[1]
        tls, trusting = tls_contexts() if path == "tls" else (None, None)
        await nursery.start(
            SocketServer(admission, use_lane=path != "stream").serve, listeners, tls
        )
        if trusting is not None:
            port = await nursery.start(_bridge, port, trusting)
        yield port
        nursery.cancel_scope.cancel()


async def _bridge(port: int, context: ssl.SSLContext, *, task_status: trio.TaskStatus[int]) -> None:
    """Plain TCP here, TLS there: kosoku's client knows no certificate of ours."""

    async def join(near: trio.SocketStream) -> None:
        far = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", port),
            context,
            server_hostname="localhost",
            https_compatible=True,
        )
        async with near, far, trio.open_nursery() as nursery:
            nursery.start_soon(_copy, far, near, nursery.cancel_scope)
            nursery.start_soon(_copy, near, far, nursery.cancel_scope)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    task_status.started(listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(join, listeners)


async def _copy(source: trio.abc.Stream, target: trio.abc.Stream, scope: trio.CancelScope) -> None:
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while data := await source.receive_some(65536):
            await target.send_all(data)
    scope.cancel()

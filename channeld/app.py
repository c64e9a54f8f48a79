"""A server put together: plan, broker, engine and sockets; started, reloaded, drained.

    app = App(plan, reloader)
    await app.run(sockets)          # until it is drained

A reload logs and ignores changes that need a restart (addresses, TLS, workers, the lifespan hook). It reads the
certificate's files again, so a renewed certificate is served. An invalid plan changes nothing.
"""

import os
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from socket import socket
from typing import TYPE_CHECKING

import attrs
import trio

from channeld.api.metrics import engine_samples, own_samples, process_samples
from channeld.auth.authenticators import authenticator
from channeld.broker.broker import BrokerFailed
from channeld.config.model import Config
from channeld.diagnostics.diagnostic import Report
from channeld.engine.engine import Engine
from channeld.groups import summary_of
from channeld.plan.plan import Hook, Plan
from channeld.server.admission import Admission
from channeld.server.backends import BackendPool
from channeld.server.broker_link import ALONE, BrokerLink, WorkerPlace
from channeld.server.calls import Calls
from channeld.server.handshake import Condition
from channeld.server.hook_server import HookServer, enter_lifespan
from channeld.server.http import serve_http
from channeld.server.jwks import RemoteKeySet, keep_fresh
from channeld.server.lifespan import LIFESPAN_END_S, LifespanFailed, contained
from channeld.server.listener import Server, tls_context
from channeld.server.outbox import Fanout
from channeld.server.runtime import TrioRuntime
from channeld.server.sockets import is_shared, named, release
from channeld.server.systemd import keep_watchdog, notify, reloading, watchdog_interval
from channeld.shadow.shadow import Shadow
from channeld.telemetry import Sample, log, reconfigure, toggle_debug

if TYPE_CHECKING:
    from channeld.api.control import Console
    from channeld.server.otel import Spans
    from channeld.telemetry.tracing import Tracing
    from channeld.webhooks.webhooks import Webhooks

# Seconds to deliver the webhooks after the last connection has ended.
_TOLD_S = 5.0
# In hundredths of a second.
_SEEN_OFF = 300
# Seconds between two checks of whether another server listens at the API's address.
_LOOK_S = 0.05

Reloader = Callable[[], Plan | Report]
"""Reads the configuration again: the new plan, or the report with its errors. Runs in a worker thread."""


class Forced(Exception):
    """The server stopped before the end of its drain, because of a second signal."""


class App:
    """One process's server.

    Args:
        plan: what to serve.
        reloader: gets the next plan for `reload`; None: reloading is off.
        on_ready: called with the addresses that are listened on.
        on_refused: called with the report of a plan that was refused.
        place: this process's place among the workers.
        notify: gets the states that a service manager wants to know.
        last_resort: called when a drain begins, with the seconds after which the process should be ended if it is still there.
        console: makes what the console shows of the configuration; None: nothing.
        traced: spans and their exporter; None: there are none.

    Raises:
        BrokerFailed: the private server of the broker is not installed.
        ValueError: the URL of the Redis server is of an unknown kind, or a webhook's must not be called.
    """

    def __init__(  # noqa: PLR0913 - what a process of the server is made of
        self,
        plan: Plan,
        reloader: Reloader | None = None,
        *,
        on_ready: Callable[[Sequence[str]], None] = lambda _addresses: None,
        on_refused: Callable[[Report], None] = lambda _report: None,
        place: WorkerPlace = ALONE,
        notify: Callable[[str], None] = notify,
        last_resort: Callable[[float], None] = lambda _seconds: None,
        console: "Callable[[], Console] | None" = None,
        traced: "tuple[Tracing, Spans] | None" = None,
    ) -> None:
        self._reloader = reloader
        self._on_ready = on_ready
        self._on_refused = on_refused
        self._console = console
        self._notify = notify
        self._last_resort = last_resort
        self._addresses: Sequence[str] = ()
        self._reloads = self._refusals = 0
        self._reloading = trio.Lock()
        self._stop = trio.Event()
        self._is_serving = self._is_forced = False
        self._leaves = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._tls: ssl.SSLContext | None = None
        # When the drain ends; 0 before it has begun.
        self._ends = 0.0
        self.runtime = TrioRuntime()
        self._key_sets = self._make_key_sets(plan, {})
        fanout = Fanout()
        self.node = BrokerLink(plan.config, self.runtime.clock, place)
        self._spans = traced[1] if traced is not None else None
        tracing = traced[0] if traced is not None else None
        make = self.node.make_broker
        self.engine = Engine(plan, make, fanout, self.runtime, self._key_sets, tracing=tracing)
        self.cluster = self.node.join(self.engine)
        self.calls = Calls(self.engine)
        self._admission = Admission(
            answerer=self.calls,
            engine=self.engine,
            plan_source=lambda: self.engine.plan,
            runtime=self.runtime,
            fanout=fanout,
            condition=self._condition,
        )
        self.server = Server(self._admission)

        self.backends = BackendPool(self.runtime.clock, self.runtime.random_id)
        self.engine.backends = self.backends
        self.hook_server = HookServer(self.engine, self.cluster, self.runtime.asyncio)
        self.engine.servers = self.hook_server.by_loop
        self.cluster.here.samples = self._samples
        self.cluster.here.is_ready = lambda: self.is_ready
        self.cluster.here.post = self.calls.take
        self.calls.forward = self.cluster.post
        self.webhooks = self._make_webhooks(plan.config)
        self.shadow: Shadow | None = None
        self._shadow_keys: Mapping[str, RemoteKeySet] = {}

    def compare_with(self, plan: Plan) -> None:
        """Also ask another configuration about everything that comes, without acting on it. Call it before `run`."""
        mine = self.engine.plan.config.auth
        same = {
            name: keys
            for name, keys in self._key_sets.items()
            if plan.config.auth.get(name) == mine[name]
        }
        self._shadow_keys = self._make_key_sets(plan, same)
        self.shadow = Shadow(plan, self.engine, self._shadow_keys, self._crowd)

    def _crowd(self, address: str) -> tuple[int, int]:
        return self._admission.open, self._admission.addresses.get(address, 0)

    def _make_webhooks(self, config: Config) -> "Webhooks | None":
        if not config.webhooks:
            return None
        from channeld.webhooks.webhooks import Webhooks  # noqa: PLC0415 - only where there are some

        return Webhooks(self.engine, config.webhooks)

    def _samples(self) -> Iterator[Sample]:
        yield from engine_samples(self.engine)
        yield from self.server.statistics().samples()
        yield from process_samples(self._reloads, self._refusals)
        yield from self.backends.samples()
        if self.webhooks is not None:
            yield from self.webhooks.samples()
        if self.shadow is not None:
            yield from self.shadow.samples()

    def _make_key_sets(
        self, plan: Plan, old: Mapping[str, RemoteKeySet]
    ) -> dict[str, RemoteKeySet]:
        sets = {}
        for name, auth in plan.config.auth.items():
            source = authenticator(auth).key_source()
            if source is not None:
                sets[name] = old.get(name) or RemoteKeySet(source, self.runtime.clock, name=name)
        return sets

    # ------------------------------------------------------------------------------------------------ its life

    async def run(
        self,
        sockets: Sequence[socket],
        tls: ssl.SSLContext | None = None,
        api_sockets: Sequence[socket] = (),
        early: Iterable[int] = (),
    ) -> None:
        """Serve on listening sockets until `stop`, a SIGTERM or a SIGINT, then drain. A SIGTERM during the start ends it at once.

        SIGHUP reloads; SIGUSR1 writes log lines of every level, and the next one only those of the configured level.

        Args:
            sockets: as `bind` makes them; closed in the end.
            tls: the context; None: made from the plan, if it has one.
            api_sockets: those of the control API, if it is to be served; closed in the end.
            early: signals that came before this was called.

        Raises:
            OSError: the certificate cannot be read.
            LifespanFailed: the lifespan hook raised.
            BrokerFailed: the private server of the broker did not start.
            Forced: a second signal came before the drain's end, or a SIGINT during the start.
        """
        plan = self.engine.plan
        self._tls = tls or (tls_context(plan.server.tls) if plan.server.tls is not None else None)
        failed: LifespanFailed | BrokerFailed | None = None
        kinds = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
        with trio.open_signal_receiver(*kinds) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, early, signals, nursery)
                # The service manager watches a worker's parent, and the parent watches the worker.
                watched = os.getpid() if self.node.place is ALONE else os.getppid()
                nursery.start_soon(keep_watchdog, self._notify, watchdog_interval(watched))
                try:
                    await nursery.start(self.runtime.run)
                    await nursery.start(self.node.run)
                    await self._live(plan, sockets, api_sockets)
                except (LifespanFailed, BrokerFailed) as error:
                    failed = error
                finally:
                    for sock in (*sockets, *api_sockets):
                        release(sock)
                nursery.cancel_scope.cancel()
        if failed is not None:
            raise failed
        if self._is_forced:
            raise Forced

    async def _live(
        self, plan: Plan, sockets: Sequence[socket], api_sockets: Sequence[socket]
    ) -> None:
        started = time.monotonic()
        if self._spans is not None:
            self._spans.start()
        async with self._lifespan(plan.lifespans), trio.open_nursery() as nursery:
            await self._fetch_keys(self._current_key_sets())
            nursery.start_soon(keep_fresh, self._current_key_sets)
            if self.webhooks is not None:
                await nursery.start(self.webhooks.run)
            addresses = await nursery.start(self.server.serve, sockets, self._tls)
            self._addresses = addresses
            if api_sockets:
                await nursery.start(self._serve_api, api_sockets)
            self._is_serving, self._nursery = True, nursery
            self.cluster.announce()
            log("server_started", bind=addresses, workers=plan.server.workers)
            if self.shadow is not None:
                self.shadow.begin()
            self._on_ready(addresses)
            self._notify("READY=1")
            await self._stop.wait()
            await self._drain()
            if self.shadow is not None:
                self.shadow.tally.summarize()
            await self.backends.aclose()
            if self._spans is not None:
                await trio.to_thread.run_sync(self._spans.close, abandon_on_cancel=True)
            self._nursery = None
            nursery.cancel_scope.cancel()
        log("server_stopped", connections=0, seconds=round(time.monotonic() - started, 3))

    def take_api(self, sockets: Sequence[socket], measured: bytes) -> None:
        """Serve the control API while this runs, for all processes of the group.

        Args:
            sockets: its own; closed in the end.
            measured: the group's last samples from the process that served it before; empty if none did.
        """
        if self._nursery is None:
            for sock in sockets:
                release(sock)
            return
        if measured:
            self.cluster.group_samples.go_on(measured)
        self._nursery.start_soon(self._serve_api, sockets)

    async def _serve_api(
        self,
        sockets: Sequence[socket],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        from channeld.api.app import make_app  # noqa: PLC0415 - 100 ms, only for the control API
        from channeld.api.control import Console, Control  # noqa: PLC0415 - likewise
        from channeld.api.past import watch  # noqa: PLC0415 - likewise

        control = Control(
            engine=self.engine,
            cluster=self.cluster,
            is_draining=self._stop.is_set,
            is_broker_up=lambda: self.node.is_healthy,
            shards=lambda: self.node.shards,
            shadow_since=None if self.shadow is None else self.shadow.tally.since,
            samples=lambda: own_samples(self.engine.hub.broker),
            console=attrs.evolve((self._console or Console)(), urls=self._urls),
        )
        log("api_started", bind=[named(sock) for sock in sockets])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, control.past, self.cluster.samples, self.runtime.clock.wall)
            app = make_app(control)
            until = partial(self._leave_api, sockets)
            await serve_http(app, sockets, until=until, task_status=task_status)

    async def _leave_api(self, sockets: Sequence[socket]) -> None:
        """Return once the API's address belongs to another server: during a drain, as soon as one listens there as well."""
        await self._leaves.wait()
        while not any(map(is_shared, sockets)):  # noqa: ASYNC110 - there is no event for it
            await trio.sleep(_LOOK_S)

    def _urls(self) -> list[str]:
        scheme = "ws" if self._tls is None else "wss"
        tcp = [address for address in self._addresses if not address.startswith("unix:")]
        return [f"{scheme}://{address}" for address in tcp]

    def _condition(self) -> Condition:
        return Condition(
            is_draining=self._stop.is_set(),
            is_broker_up=self.node.is_healthy,
            shards=tuple(self.node.shards.values()),
        )

    @property
    def is_ready(self) -> bool:
        """Whether clients should be sent here: this server is up, not draining, and its broker answers."""
        return self._is_serving and not self._stop.is_set() and self.node.is_healthy

    def stop(self) -> None:
        """Begin to drain; `run` returns when that is done. Idempotent."""
        self._stop.set()

    @asynccontextmanager
    async def _lifespan(self, hooks: Sequence[Hook]) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.node.leave)
            await stack.enter_async_context(self.hook_server.open())
            for hook in hooks:
                lifespan = enter_lifespan(self.engine, self.hook_server, hook)
                within = contained(hook.name, lifespan, lambda: self._ends)
                await stack.enter_async_context(within)
            yield

    async def _fetch_keys(self, key_sets: Iterable[RemoteKeySet]) -> None:
        async with trio.open_nursery() as nursery:
            for key_set in key_sets:
                nursery.start_soon(partial(key_set.refresh, forced=True))

    def _current_key_sets(self) -> Iterable[RemoteKeySet]:
        mine = list(self._key_sets.values())
        of_shadow = (keys for keys in self._shadow_keys.values() if keys not in mine)
        return [*mine, *of_shadow]

    async def _drain(self) -> None:
        drain = self.engine.plan.server.drain
        self._notify("STOPPING=1")
        self.cluster.announce()
        # Health checks fail from now on; load balancers take a while to notice.
        if drain.delay:
            log("drain_delayed", seconds=drain.delay)
            await trio.sleep(drain.delay)
        self._ends = trio.current_time() + drain.over
        self._last_resort(drain.over + self._longest_end())
        # Another server may take the API's address now. Until it does, this one answers that it is not ready.
        self._leaves.set()
        await self.server.stop_accepting(drain.over)
        self.engine.drain(drain.over)
        self.calls.waits.end()
        await self.server.drain(drain.over)
        await self._see_off()
        if self.webhooks is not None:
            await self.webhooks.drain(_TOLD_S, is_outlived=self.node.is_outlived)

    def _longest_end(self) -> float:
        # How long the steps after a drain may take if nothing blocks and no task is shielded.
        told = 0.0 if self.webhooks is None else _TOLD_S
        return _SEEN_OFF / 100 + told + LIFESPAN_END_S * (len(self.engine.plan.lifespans) + 1)

    async def _see_off(self) -> None:
        """Wait until the broker and the webhooks have been told that the last connections have ended."""
        for _ in range(_SEEN_OFF):
            if not self.engine.leaving:
                return
            await trio.sleep(0.01)

    async def _obey(
        self, early: Iterable[int], signals: AsyncIterator[int], nursery: trio.Nursery
    ) -> None:
        was_on_terminal = sys.stderr.isatty()
        for number in early:
            self._act(number, nursery)
        async for number in signals:
            # A terminal that goes away also sends SIGHUP; then it does not mean a reload.
            is_gone = was_on_terminal and not sys.stderr.isatty()
            self._act(signal.SIGTERM if is_gone and number == signal.SIGHUP else number, nursery)

    def _act(self, number: int, nursery: trio.Nursery) -> None:
        if number == signal.SIGUSR1:
            toggle_debug()
        elif number != signal.SIGHUP:
            if self._stop.is_set() or not self._is_serving:
                # Before the server serves, there are no clients to drain.
                self._is_forced = self._stop.is_set() or number == signal.SIGINT
                nursery.cancel_scope.cancel()
            self.stop()
        elif not self._reloading.statistics().tasks_waiting:
            nursery.start_soon(self.reload)

    # -------------------------------------------------------------------------------------------------- reload

    async def reload(self) -> bool:
        """Read the configuration again, and take it if it is valid. Never raises.

        Returns:
            Whether it was taken.
        """
        if self._reloader is None:
            return False
        async with self._reloading:
            self._notify(reloading())
            try:
                plan = await trio.to_thread.run_sync(self._reloader, abandon_on_cancel=True)
                if isinstance(plan, Report):
                    self._refusals += 1
                    log("config_refused", errors=len(plan.errors))
                    self._on_refused(plan)
                    return False
                await self._take(plan)
            except (
                Exception
            ) as error:  # whatever is wrong with a new configuration, the old one stays in service
                self._refusals += 1
                log("config_refused", reason=summary_of(error))
                return False
            finally:
                if not self._stop.is_set():
                    self._notify("READY=1")
            return True

    async def _take(self, plan: Plan) -> None:
        old = self.engine.plan
        if self._tls is not None and old.server.tls is not None:
            tls_context(old.server.tls)  # raises before anything has changed
            self._tls.load_cert_chain(old.server.tls.certificate, old.server.tls.key)
        for key in ("bind", "tls", "workers"):
            if getattr(old.server, key) != getattr(plan.server, key):
                log("restart_needed", setting=f"server.{key}")
        if old.config.broker != plan.config.broker:
            log("restart_needed", setting="broker")
        if old.config.webhooks != plan.config.webhooks:
            log("restart_needed", setting="webhooks")
        if old.config.log != plan.config.log:
            reconfigure(plan.config.log.format, plan.config.log.level)
        # A reload takes over the API's keys at once; without an `api` none is valid.
        if _bound(old.config) != _bound(plan.config):
            log("restart_needed", setting="api.bind")
        if old.config.hooks.lifespan != plan.config.hooks.lifespan:
            log("lifespan_changed", hook=", ".join(ref.call for ref in plan.config.hooks.lifespan))
        kept = {
            name: key_set
            for name, key_set in self._key_sets.items()
            if old.config.auth.get(name) == plan.config.auth.get(name)
        }
        key_sets = self._make_key_sets(plan, kept)
        await self._fetch_keys(key_sets.values())
        # The server keeps its addresses and TLS, so origins are compared with those.
        server = attrs.evolve(plan.server, bind=old.server.bind, tls=old.server.tls)
        closed = self.engine.reload(attrs.evolve(plan, server=server), key_sets)
        self._key_sets = key_sets
        self.cluster.announce()
        self._reloads += 1
        log("config_reloaded", channels=len(plan.channels), closed=closed)
        if self.shadow is not None:
            self.shadow.begin()


def _bound(config: Config) -> str | None:
    return None if config.api is None else config.api.bind

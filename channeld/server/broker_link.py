"""This process as one node among others: its broker, whether the broker answers, and the other nodes.

With `broker: memory` it is alone, and nothing here runs. With other brokers, `run` maintains the connection, and the
private server if the broker has one (a worker uses its parent's). When the broker is unreachable, clients stay connected,
their publishes get UNAVAILABLE, and the server reports that it is not ready.
"""

import secrets
from collections.abc import Mapping
from functools import partial

import attrs
import trio

from channeld.broker.broker import Broker, BrokerFailed, Deliver, Networked, PrivateServer
from channeld.broker.brokers import BrokerSite, kind_of
from channeld.cluster.cluster import Cluster
from channeld.config.model import Config
from channeld.engine.engine import Engine
from channeld.hub.hub import Hub
from channeld.telemetry import log
from channeld.timers import Clock


@attrs.frozen(slots=True, kw_only=True)
class WorkerPlace:
    """A process's position among those started with it: its number, their common id, and the URL of their private server."""

    number: int | None = None
    group: str = ""
    broker_url: str | None = None


ALONE = WorkerPlace()
"""A process that was started by itself."""


class BrokerLink:
    """One per `App`: `make_broker` and `join` during assembly, `run` while it serves."""

    def __init__(self, config: Config, clock: Clock, place: WorkerPlace = ALONE) -> None:
        """Choose the broker.

        Raises:
            BrokerFailed: its private server is not installed.
        """
        self.id = secrets.token_urlsafe(12)
        self.place = place
        self._clock = clock
        self._settings = config.broker
        self._kind = kind_of(config.broker)
        self._server: PrivateServer | None = None
        if self._kind.private_server is not None and place.broker_url is None:
            self._server = self._kind.private_server()
        self._networked: Networked | None = None
        self._cluster: Cluster | None = None
        self._away_since: float | None = None

    def make_broker(self, deliver: Deliver) -> Broker:
        """The broker that the configuration asks for.

        Raises:
            ValueError: its settings are not valid, such as an address of unknown form.
        """
        url = self._server.url if self._server is not None else self.place.broker_url or ""
        site = BrokerSite(deliver=deliver, clock=self._clock, node_id=self.id, server=url)
        broker = self._kind.open(self._settings, site)
        if isinstance(broker, Networked):
            self._networked = broker
        return broker

    def join(self, engine: Engine) -> Cluster:
        """Connect the broker's callbacks to the engine, and give the engine its cluster."""
        cluster = self._cluster = Cluster(engine, self.id, group=self.place.group)
        engine.cluster = cluster
        if self._networked is not None:
            self._networked.on_gap = engine.on_gap
            self._networked.on_presence_lost = engine.on_presence_lost
            self._networked.on_presence_back = engine.on_presence_back
            self._networked.on_health = partial(self._on_health, engine.hub, cluster)
            self._networked.on_versions = cluster.plans.hear_versions
            self._networked.begin_turn = engine.hub.begin_turn
            self._networked.end_turn = engine.hub.end_turn
            self._networked.when_turn_ends = engine.hub.when_turn_ends
        return cluster

    @property
    def is_healthy(self) -> bool:
        """Whether this node's publications reach the others."""
        return self._networked is None or self._networked.healthy

    @property
    def is_outlived(self) -> bool:
        """Whether another node takes over the presence of this node's users when it ends."""
        return self._cluster is not None and self._cluster.is_another_ready

    @property
    def shards(self) -> Mapping[str, bool]:
        """Whether each shard of the broker answers, by name; empty if the broker is one server."""
        return {} if self._networked is None else self._networked.states()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Maintain the broker connection; starts after the first attempt, successful or not. Needs the runtime's `run`.

        Raises:
            BrokerFailed: the broker's private server did not start, or the other nodes are configured with other shards.
        """
        if self._networked is None or self._cluster is None:
            task_status.started()
            return
        failed: BrokerFailed | None = None
        async with trio.open_nursery() as nursery:
            try:
                if self._server is not None:
                    await nursery.start(self._server.run)
                await nursery.start(self._networked.run)
            except BrokerFailed as error:
                # Raised again outside, so that it is not wrapped in a group.
                failed = error
                nursery.cancel_scope.cancel()
            else:
                if not self._networked.healthy:
                    self._networked.on_health(False, self._networked.reason)
                await self._cluster.open()
                task_status.started()
        if failed is not None:
            raise failed

    async def leave(self) -> None:
        """Tell the other nodes that this one leaves; afterwards `run` may be cancelled. Idempotent."""
        if self._cluster is not None:
            await self._cluster.close()
        if self._networked is not None:
            self._networked.on_health = lambda _healthy, _reason: None
            await self._networked.aclose()

    def _on_health(self, hub: Hub, cluster: Cluster, healthy: bool, reason: str) -> None:
        now = self._clock.monotonic()
        if not healthy:
            self._away_since = now
            log("broker_unavailable", reason=reason)
        elif self._away_since is not None:
            seconds = round(now - self._away_since, 3)
            self._away_since = None
            log("broker_recovered", seconds=seconds, rooms=hub.statistics().rooms)
        if healthy:
            cluster.greet()

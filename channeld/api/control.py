"""What the API works on: the engine with its cluster, and what only those who put the server together know."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import attrs
from starlette.requests import Request

from channeld.api.forms import Body
from channeld.api.idempotency import Idempotency
from channeld.api.past import Past
from channeld.api.problems import Problem
from channeld.api.refusals import Refusals
from channeld.api.tails import Tails
from channeld.cluster.cluster import Cluster
from channeld.engine.engine import Engine
from channeld.plan.plan import ChannelPlan, Plan
from channeld.protocol.frames import Json
from channeld.protocol.names import is_room_name
from channeld.suggest import did_you_mean
from channeld.telemetry import Sample

_LISTED: Final = 20


@attrs.frozen(kw_only=True)
class Console:
    """What the console shows beside the API's own answers; the layers above the API bring it.

    Attributes:
        urls: the server's own WebSocket URLs, without paths.
        describe: the channels with their types, routes and examples, for people.
        mint: a token for (channel, user), only where the server runs for development.
        opens: where a short link leads: (code, the server's URL) -> a path, or None for a code that is not one of ours.
        page: the chat page, where there is one.
        trace: what becomes of a message, step by step: (path, frame, token); runs in a thread. None: nobody can tell.
    """

    urls: Callable[[], Sequence[str]] = tuple
    describe: Callable[[Plan], Sequence[Json]] = lambda _plan: ()
    mint: Callable[[Plan, str, str], str] | None = None
    opens: Callable[[Plan, str, str], str | None] = lambda _plan, _code, _url: None
    page: Callable[[], bytes | None] = lambda: None
    trace: Callable[[str, str | None, str | None], Json] | None = None


@attrs.define(eq=False, kw_only=True)
class Control:
    """What handlers get.

    Attributes:
        engine: whose verbs these are on this node.
        cluster: whose verbs these are on all nodes.
        is_draining: whether clients are being sent away.
        is_broker_up: whether the broker answers.
        shards: whether each of its shards does, by name; nothing where it is one.
        shadow_since: since when another configuration is asked about what comes, in Unix seconds; None: none is.
        samples: the metrics that are this process's own, and not to be added up with others'.
    """

    engine: Engine
    cluster: Cluster
    is_draining: Callable[[], bool] = lambda: False
    is_broker_up: Callable[[], bool] = lambda: True
    shards: Callable[[], Mapping[str, bool]] = dict
    shadow_since: float | None = None
    samples: Callable[[], Iterable[Sample]] = tuple
    console: Console = attrs.field(factory=Console)
    tails: Tails = attrs.field(init=False)
    idempotency: Idempotency = attrs.field(init=False)
    refusals: Refusals = attrs.field(init=False)
    past: Past = attrs.field(factory=Past, init=False)

    def __attrs_post_init__(self) -> None:
        self.tails = Tails(self.engine.hub)
        self.idempotency = Idempotency(self.engine.runtime.clock)
        self.cluster.here.published = self.idempotency.published
        self.refusals = Refusals(self.engine.runtime.clock)

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the plan in force, so that a reload rotates them."""
        api = self.engine.plan.config.api
        return [] if api is None else [secret.text for secret in api.keys]

    def channel(self, name: str) -> ChannelPlan:
        """A declared channel.

        Raises:
            Problem: 404.
        """
        found = self.engine.plan.channels.get(name)
        if found is None:
            meant = did_you_mean(name, self.engine.plan.channels)
            declared = ", ".join(
                f"`{known}`" for known in islice(self.engine.plan.channels, _LISTED)
            )
            hint = f"; {meant}" if meant else ""
            raise Problem(404, f"there is no such channel{hint} (declared: {declared})")
        return found

    def room(self, name: str) -> str:
        """A room's name that could be one.

        Raises:
            Problem: 404.
        """
        if not is_room_name(name):
            detail = "no such room: a name has 1 to 128 characters, NFC, no control characters"
            raise Problem(404, detail)
        return name


@attrs.frozen(kw_only=True, eq=False)
class ApiRequest:
    """A request that has the right form: the path's parameters, the query's, and the body's value."""

    request: Request
    params: Mapping[str, str]
    query: Mapping[str, Any]
    body: Body = None

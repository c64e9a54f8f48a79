"""What the API works on: the engine with its cluster, and facts from the layers above."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

import attrs
from starlette.requests import Request

from channeld.api.access import Refusals
from channeld.api.forms import Body
from channeld.api.idempotency import Idempotency
from channeld.api.past import Past
from channeld.api.problems import Problem
from channeld.api.tails import Tails
from channeld.cluster.cluster import Cluster
from channeld.engine.engine import Engine
from channeld.plan.plan import ChannelPlan, Plan
from channeld.protocol.frames import CheckedJson, Json
from channeld.protocol.names import is_room_name, room_name
from channeld.suggest import did_you_mean
from channeld.telemetry import Sample

_LISTED: Final = 20


@attrs.frozen(kw_only=True)
class Console:
    """What the console shows besides the API's own answers; provided by the layers above the API.

    Attributes:
        urls: the server's own WebSocket URLs, without paths.
        describe: describes the channels with their types, routes and examples.
        mint: makes a token for (channel, user), in development only.
        opens: resolves a short link: (code, the server's URL) -> a path, or None for an unknown code.
        page: the chat page, if there is one.
        trace: traces a message step by step: (path, frame, token); runs in a thread. None: not available.
    """

    urls: Callable[[], Sequence[str]] = tuple
    describe: Callable[[Plan], Sequence[Json]] = lambda _plan: ()
    mint: Callable[[Plan, str, str], str] | None = None
    opens: Callable[[Plan, str, str], str | None] = lambda _plan, _code, _url: None
    page: Callable[[], bytes | None] = lambda: None
    trace: Callable[[str, str | None, str | None], Json] | None = None


@attrs.define(eq=False, kw_only=True)
class Control:
    """What handlers work on.

    Attributes:
        engine: the verbs on this node.
        cluster: the verbs on all nodes.
        is_draining: whether the server is draining.
        is_broker_up: whether the broker answers.
        shards: whether each of its shards answers, by name; empty if it is one server.
        shadow_since: since when a shadow configuration runs, in Unix seconds; None: none does.
        samples: metrics that are this process's own and must not be summed with others'.
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
        """The keys of the current plan, so that a reload rotates them."""
        api = self.engine.plan.config.api
        return [] if api is None else [secret.text for secret in api.keys]

    def channel(self, name: str) -> ChannelPlan:
        """The declared channel of that name.

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
        """The room name in NFC, if it is valid.

        Raises:
            Problem: 404.
        """
        room = room_name(name)
        if not is_room_name(room):
            detail = "no such room: a name has 1 to 128 characters, each of which can be seen"
            raise Problem(404, detail)
        return room


@attrs.frozen(kw_only=True, eq=False)
class ApiRequest:
    """A validated request: path parameters, query parameters, and the body's value."""

    request: Request
    params: Mapping[str, str]
    query: Mapping[str, CheckedJson]
    body: Body = None

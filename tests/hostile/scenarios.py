"""The table of attacks: how large in the tests and in the soak, and what an attacker may and must be answered."""

from typing import Any, Protocol

import attrs

from tests.hostile import floods, handshakes, records, requests, twins
from tests.hostile.ground import Ground
from tests.hostile.wire import Answers


class Attack(Protocol):
    """What attackers do on a ground, so many times."""

    __name__: str

    def __call__(self, ground: Ground, count: int) -> Answers:
        """What they were answered."""


@attrs.frozen(slots=True, kw_only=True)
class Scenario:
    """An attack. `must` are answers that have to occur, `may` others that can; `growth` is in MiB, `lines` of the log.

    The `twin` is what good clients do as often, where they could. `brisk` attacks are about waiting, and in the
    tests are made where it takes a second; `secure` ones need TLS.
    """

    name: str
    attack: Attack
    short: int
    long: int
    must: frozenset[str]
    may: frozenset[str] = frozenset()
    growth: float = 64.0
    lines: int = 50
    brisk: bool = False
    secure: bool = False
    twin: Attack | None = None

    @property
    def home(self) -> str:
        """The fixture of the server that it is made to in the tests."""
        return "secure" if self.secure else "brisk" if self.brisk else "ground"

    def judge(self, answers: Answers) -> list[str]:
        """What was answered against the documents."""
        got = set(answers)
        missing = [f"{self.name}: nobody got {answer!r}" for answer in sorted(self.must - got)]
        surplus = [
            f"{self.name}: {a!r} is not an answer" for a in sorted(got - self.must - self.may)
        ]
        return missing + surplus


def _row(
    attack: Attack,
    sizes: tuple[int, int],
    twin: Attack | None,
    must: str,
    *,
    may: str = "",
    **more: Any,
) -> Scenario:
    return Scenario(
        name=attack.__name__.replace("_", " "),
        attack=attack,
        short=sizes[0],
        long=sizes[1],
        twin=twin,
        must=frozenset(must.split(", ")),
        may=frozenset(may.split(", ")) if may else frozenset(),
        **more,
    )


_LET_IN = "HTTP 101, end"
_UNREAD = "HTTP 101, closed 4508"
_UNREAD_MAY = "echo, ack, PONG, RATE_LIMITED, close 4508, end, reset"

SCENARIOS = (
    _row(
        floods.tiny_frames,
        (20_000, 300_000),
        twins.echoes,
        "HTTP 101, echo, RATE_LIMITED",
        # 4429 only for a flood that takes ten seconds.
        may="close 1000, disconnect, close 4429, end, reset",
    ),
    _row(
        floods.tiny_frames_unread,
        (150_000, 400_000),
        twins.echoes,
        _UNREAD,
        may=_UNREAD_MAY,
    ),
    _row(floods.pings, (20_000, 300_000), twins.echoes, f"{_LET_IN}, PONG, close 1000"),
    _row(floods.pings_unread, (100_000, 400_000), twins.echoes, _UNREAD, may=_UNREAD_MAY),
    _row(
        floods.large_frames,
        (300, 10_000),
        twins.large_echoes,
        "HTTP 101, echo, RATE_LIMITED",
        may="close 1000, disconnect, close 4429, end, reset",
    ),
    _row(
        floods.huge_frame, (200, 10_000), None, "HTTP 101, TOO_LARGE, close 1009", may="end, reset"
    ),
    _row(
        floods.byte_by_byte,
        (10, 300),
        twins.steady_echoes,
        f"{_LET_IN}, echo, ack, PONG, close 1000",
        lines=700,
    ),
    _row(floods.fragments, (20_000, 300_000), None, "HTTP 101, close 1008", may="end, reset"),
    _row(
        floods.chopped,
        (100, 1000),
        twins.as_many_frames,
        f"{_LET_IN}, echo, PONG, close 1000",
        may="RATE_LIMITED",
    ),
    _row(
        floods.large_tokens,
        (50, 1000),
        twins.large_echoes,
        f"{_LET_IN}, authenticated, close 1000",
        may="RATE_LIMITED",
    ),
    _row(
        floods.large_token_subscribes,
        (50, 1000),
        twins.one_room,
        f"{_LET_IN}, authenticated, subscribed, unsubscribed, presence, close 1000",
        may="RATE_LIMITED, FORBIDDEN",
    ),
    _row(
        floods.who_is_here,
        (100, 2000),
        None,
        f"{_LET_IN}, authenticated, presence, close 1000",
        may="RATE_LIMITED",
        lines=300,
    ),
    _row(
        floods.bombs,
        (300, 5000),
        twins.compressed_echoes,
        "HTTP 101, echo, RATE_LIMITED",
        may="close 1000, disconnect, close 4429, end, reset",
    ),
    _row(
        floods.flapping,
        (100, 2000),
        None,
        f"{_LET_IN}, authenticated, subscribed, unsubscribed, close 1000",
        # Out of a room that it did not get into, because that was over the rate.
        may="RATE_LIMITED, FORBIDDEN, presence",
        lines=300,
    ),
    _row(floods.recoveries, (20, 500), twins.visits, "HTTP 101, subscribed", may="say", lines=1100),
    _row(requests.event_streams, (50, 3000), twins.streams, "HTTP 200", lines=6100),
    _row(
        requests.long_polls,
        (50, 2000),
        None,
        f"{_LET_IN}, HTTP 200, subscribed, say, close 1000",
        lines=200,
    ),
    _row(
        requests.dribbled_bodies,
        (50, 500),
        None,
        "end",
        brisk=True,
        lines=600,
    ),
    _row(
        requests.smuggled_heads,
        (30, 3000),
        twins.short_visits,
        "HTTP 400, end",
        may="HTTP 411, HTTP 413, reset",
        lines=3100,
    ),
    _row(
        requests.control_api,
        (400, 20_000),
        twins.api_requests,
        "HTTP 200, HTTP 401",
    ),
    _row(
        records.aborted_handshakes,
        (40, 3000),
        twins.short_visits,
        "hello, alert, end",
        secure=True,
        lines=3100,
    ),
    _row(records.key_updates, (2000, 100_000), None, "end", secure=True),
    _row(records.empty_records, (2000, 100_000), None, "end", secure=True),
    _row(
        requests.unanswered_closes,
        (50, 1000),
        twins.all_at_once,
        f"{_LET_IN}, close 1000, close 1003",
        may="reset",
        lines=2100,
    ),
    _row(handshakes.preflights, (300, 10_000), twins.short_visits, "HTTP 204", may="end, reset"),
    _row(floods.binary, (100, 10_000), None, "HTTP 101, close 1003", may="end, reset"),
    _row(
        floods.strange_json,
        (60, 2000),
        twins.few_large_echoes,
        "HTTP 101, INVALID_JSON, disconnect, close 4429",
        may="end, reset",
    ),
    _row(
        floods.refusals,
        (40, 2000),
        twins.few_lists,
        "HTTP 101, INVALID_MESSAGE, disconnect, close 4429",
        may="end, reset, RATE_LIMITED",
    ),
    _row(
        floods.containers,
        (40, 2000),
        twins.lists,
        f"{_LET_IN}, list, close 1000",
        may="RATE_LIMITED",
    ),
    _row(
        floods.duplicate_keys,
        (50, 5000),
        twins.large_echoes,
        f"{_LET_IN}, echo, close 1000",
        may="RATE_LIMITED",
    ),
    _row(
        floods.room_names_as_shipped,
        (1000, 100_000),
        twins.one_room,
        "HTTP 101, subscribed, LIMIT_EXCEEDED, disconnect, close 4429",
        may="end, reset",
    ),
    _row(
        floods.room_names,
        (5000, 200_000),
        twins.one_room,
        f"{_LET_IN}, subscribed, unsubscribed, LIMIT_EXCEEDED, close 1000",
    ),
    _row(
        floods.named_rooms,
        (5000, 30_000),
        twins.one_history,
        f"{_LET_IN}, subscribed, say, unsubscribed, close 1000",
        growth=32.0,
    ),
    _row(
        floods.reconnects,
        (30, 1000),
        twins.visits,
        f"{_LET_IN}, echo, RATE_LIMITED, close 1000",
        may="disconnect, close 4429, reset",
        lines=6100,
    ),
    _row(
        floods.archives,
        (64, 200),
        twins.histories,
        f"{_LET_IN}, history, close 1000",
        may="subscribed, RATE_LIMITED",
    ),
    _row(floods.never_reading, (5, 100), twins.readers, "closed 4508", growth=60.0, lines=350),
    _row(floods.stalled_readers, (20, 300), twins.readers, "closed 4508", growth=60.0, lines=1000),
    _row(
        handshakes.unfinished,
        (500, 5000),
        twins.half_at_once,
        _LET_IN,
        may="reset",
        brisk=True,
        lines=5100,
    ),
    _row(handshakes.silent_sockets, (100, 5000), None, "end", may="reset", brisk=True),
    _row(
        handshakes.silent_clients,
        (50, 2000),
        None,
        f"{_LET_IN}, UNAUTHORIZED, close 4401",
        may="PING, reset",
        brisk=True,
        lines=4100,
    ),
    _row(
        handshakes.bad_heads,
        (100, 5000),
        twins.short_visits,
        f"{_LET_IN}, HTTP 400, HTTP 404, HTTP 405, HTTP 431, close 1000",
        may="HTTP 426, reset",
        lines=5100,
    ),
    _row(
        handshakes.bad_tokens,
        (60, 3000),
        twins.short_visits,
        "HTTP 101, UNAUTHORIZED, close 4401",
        may="end, reset",
        lines=6100,
    ),
    _row(
        handshakes.churn,
        (100, 10_000),
        twins.visits_of_a_room,
        "HTTP 101, say",
        may="RATE_LIMITED",
        lines=20_100,
    ),
    _row(handshakes.frozen, (20, 200), None, "closed 1006", brisk=True, lines=450),
    *(
        [_row(handshakes.vanished, (20, 500), None, "closed 1006", brisk=True, lines=1100)]
        if handshakes.can_vanish()
        else []
    ),
)

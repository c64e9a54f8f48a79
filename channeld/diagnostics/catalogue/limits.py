"""CH6xx: limits, history and presence."""

from channeld.diagnostics.catalogue.entry import Entry
from channeld.diagnostics.diagnostic import Severity

__all__ = ["ENTRIES"]

_LOBBY = """\
channeld: 1
channels:
  lobby:
    path: /chat
    description: One room for all.
    auth: none
    rooms: lobby
    messages:
      say: {schema: true, route: room}
"""


def _server(lines: str) -> str:
    """A small whole file with a `server` section."""
    return _LOBBY.replace("channels:", f"server:\n{lines}channels:", 1)


def _channel(line: str) -> str:
    """A small whole file with one more line in its channel."""
    return _LOBBY.replace("    rooms: lobby\n", f"    rooms: lobby\n    {line}\n")


def _message(text: str) -> str:
    """A small whole file with another message."""
    return _LOBBY.replace("say: {schema: true, route: room}", text)


def _session(lines: str, channel: str) -> str:
    """A small whole file with an authenticator that everybody on the channel went through."""
    auth = (
        'auth:\n  session: {type: tokens, tokens: [{token: "${SENSOR_TOKEN}", user: sensor-1}]}\n'
    )
    return (
        _LOBBY.replace("channels:", f"{lines}{auth}channels:", 1)
        .replace("auth: none", "auth: session")
        .replace("    rooms: lobby\n", f"    rooms: lobby\n{channel}")
    )


_JWT = """\
auth:
  session:
    type: jwt
    algorithms: [HS256]
    audience: chat
    secret: ${CHANNELD_JWT_SECRET}
    token_from: [message]
"""


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "CH601",
        "limit-absurd",
        Severity.ERROR,
        "the number is out of range",
        "Limits, sizes and times have a range in which they make sense. Zero and negative numbers would switch off what "
        "the server needs to stay up, or let nothing through; very large ones would be no limit. The finding tells the "
        "range.",
        _server("  limits: {connections: 0}\n"),
        _server("  limits: {connections: 1000}\n"),
    ),
    Entry(
        "CH603",
        "ping-timeout-long",
        Severity.WARNING,
        "the ping's `timeout` is longer than its `interval`",
        "A client that fell silent is found out after `interval` plus `timeout`. With a `timeout` longer than the "
        "`interval` most of that time is spent waiting for one answer, which on a live line takes well under a second. "
        "Make the `timeout` as long as the `interval` or shorter.",
        _server("  ping: {interval: 5s, timeout: 60s}\n"),
        _server("  ping: {interval: 30s, timeout: 10s}\n"),
    ),
    Entry(
        "CH605",
        "history-half",
        Severity.ERROR,
        "a history needs both `size` and `ttl`",
        "`size` alone would keep the last frames of a dead room for ever, `ttl` alone would let a busy room grow without "
        "bound. A history has both.",
        _channel("history: {size: 100}"),
        _channel("history: {size: 100, ttl: 1h}"),
    ),
    Entry(
        "CH606",
        "history-without-rooms",
        Severity.WARNING,
        "the channel has no rooms whose frames could be kept",
        "A history belongs to a room: it keeps the frames that were routed to `room`. Nobody on this channel joins one on "
        "connect, and nobody may subscribe to one, so the history stays empty unless a hook joins rooms. Add `rooms`, or "
        "remove `history`.",
        _channel("history: {size: 10, ttl: 1h}")
        .replace("    rooms: lobby\n", "")
        .replace("route: room", "route: sender"),
        _channel("history: {size: 10, ttl: 1h}"),
    ),
    Entry(
        "CH608",
        "history-memory",
        Severity.WARNING,
        "one room's history can take over 1 GiB",
        "In the worst case a room's history holds `size` frames of `message_size` each, and there may be many rooms. Keep "
        "fewer frames, or give the channel a smaller `limits.message_size`.",
        _channel("history: {size: 100000, ttl: 1h}"),
        _channel("history: {size: 1000, ttl: 1h}"),
    ),
    Entry(
        "CH609",
        "outbox-small",
        Severity.ERROR,
        "the outbox cannot hold one message",
        "Frames wait in a connection's outbox until its socket takes them; over the limit the connection is closed as too "
        "slow. An outbox smaller than the largest message would close connections for a single frame.",
        _server("  limits: {outbox: 16KiB, message_size: 64KiB}\n"),
        _server("  limits: {outbox: 1MiB, message_size: 64KiB}\n"),
    ),
    Entry(
        "CH610",
        "burst-below-rate",
        Severity.WARNING,
        "the burst is smaller than what the rate lets in a second",
        "`burst` is how many may come at once. If it is below the rate's share of a second, a client that keeps to the "
        "rate but sends in small heaps, as networks deliver, is refused. Leave `burst` out, or make it at least the count.",
        _message("say: {schema: true, route: room, rate: {limit: 10/s, burst: 2}}"),
        _message("say: {schema: true, route: room, rate: {limit: 10/s, burst: 30}}"),
    ),
    Entry(
        "CH611",
        "rate-never-reached",
        Severity.WARNING,
        "the limit on all messages is lower than this message's own rate",
        "Every frame counts for `limits.messages` first. A message's `rate` above it never matters: clients are stopped "
        "before. Lower the rate, or raise `limits.messages` of the channel.",
        _message("say: {schema: true, route: room, rate: 500/s}"),
        _message("say: {schema: true, route: room, rate: 50/s}"),
    ),
    Entry(
        "CH612",
        "auth-timeout-short",
        Severity.WARNING,
        "there is less time for the token than for the handshake",
        "Where a token may come in an `authenticate` frame, a client has `auth_timeout` for it, after a handshake that may "
        "take `handshake_timeout`. A line slow enough to need the one needs the other as well.",
        _LOBBY.replace(
            "channels:", f"server:\n  limits: {{auth_timeout: 1s}}\n{_JWT}channels:", 1
        ).replace("auth: none", "auth: session"),
        _LOBBY.replace(
            "channels:", f"server:\n  limits: {{auth_timeout: 10s}}\n{_JWT}channels:", 1
        ).replace("auth: none", "auth: session"),
    ),
    Entry(
        "CH613",
        "batch-without-events",
        Severity.WARNING,
        "presence events are gathered, but none are sent",
        "`batch` gathers joins and leaves into one frame; `events: false` says that no such frame is sent. One of the two "
        "is not meant.",
        _session("", "    presence: {events: false, batch: 250ms}\n"),
        _session("", "    presence: {batch: 250ms}\n"),
    ),
    Entry(
        "CH614",
        "subscriptions-over-limit",
        Severity.WARNING,
        "more subscriptions are allowed than rooms",
        "`limits.rooms_per_connection` counts every room that a connection is in, joined or subscribed to. A larger "
        "`subscribe.max` never matters.",
        _LOBBY.replace(
            "rooms: lobby", 'rooms: {join: lobby, subscribe: {allow: ["t-*"], max: 500}}'
        ),
        _LOBBY.replace(
            "rooms: lobby", 'rooms: {join: lobby, subscribe: {allow: ["t-*"], max: 50}}'
        ),
    ),
)

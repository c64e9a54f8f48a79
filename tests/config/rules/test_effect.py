"""Keys that another one leaves without effect."""

from collections.abc import Callable

import pytest

from channeld.config.load import Loaded

Load = Callable[..., Loaded]

AUTH = 'auth: {s: {type: jwt, algorithms: [HS256], secret: "${S:-0123456789012345678901234567890123456789}", audience: us}}\n'


def channel(rest: str, auth: str = "s") -> str:
    """A channel, and the authenticator that it may name."""
    declared = AUTH if auth != "none" else ""
    return f"{declared}channels: {{c: {{path: /c, description: One., auth: {auth}, {rest}}}}}\n"


PLAIN = channel("rooms: r, events: {}")
NO_ROOMS = channel("events: {}")
WEBHOOK = 'webhooks: [{url: "https://x.example", secret: "${S:-0123456789012345678901234567890123456789}", events: %s}]\n'
API = 'api: {keys: ["${S:-0123456789012345678901234567890123456789}"]}\n'
BACKEND = 'backends: {b: {url: "https://x.example", secret: "${S:-0123456789012345678901234567890123456789}", on_failure: accept}}\n'


def idle(load_config: Load, text: str) -> list[str]:
    found = load_config("channeld: 1\n" + text).report
    return [one.message.partition(":")[0] for one in found if one.code == "CH616"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (channel("rooms: r, events: {}, presence: {rate: 1/s}"), "`rate`"),
        (channel("rooms: r, events: {}, limits: {connections_per_user: 3}", "none"), "`connections_per_user`"),
        (channel("rooms: r, events: {}, require: {role: a}", "{use: s, optional: true}"), "`optional`"),
        (channel("events: {}, presence: true"), "`presence`"),
        (channel("events: {}, limits: {rooms_per_connection: 3}"), "`rooms_per_connection`"),
        (channel("events: {}, limits: {hook_timeout: 3s}"), "`hook_timeout`"),
        (channel('events: {}, hooks: {unsubscribe: "m:f"}'), "`unsubscribe`"),
        (channel('rooms: r, events: {}, hooks: {subscribe: "m:f"}'), "`subscribe`"),
        (channel("events: {}, subprotocols: [a], transports: [sse]"), "`subprotocols`"),
        (channel("events: {e: {conflate: 1s}}"), "`conflate`"),
        ("broker: {redis: {url: redis://h}}\n" + channel("rooms: r, events: {}, history: {size: 5, ttl: 1h, rooms: 5, bytes: 1MiB}"), "`rooms` and `bytes`"),
        ("server: {compression: true, transports: [sse]}\n" + PLAIN, "`compression`"),
        ("server: {limits: {connections: 5, connections_per_address: 6}}\n" + PLAIN, "`connections_per_address`"),
        (WEBHOOK % "[connected, joined, left]" + NO_ROOMS, "`joined` and `left`"),
        (WEBHOOK % "[room_occupied, joined]" + channel("events: {}, presence: {scope: channel}"), "`room_occupied`"),
        (BACKEND + channel("events: {}, hooks: {connect: {backend: b, path: /x}}"), "`on_failure`"),
        ("server: {transports: [sse, websocket, sse]}\n" + PLAIN, "`sse`"),
        ("server: {trusted_proxies: [10.0.0.1, 10.0.0.1]}\n" + PLAIN, "`10.0.0.1`"),
        (PLAIN.replace("audience: us", "audience: [us, us]"), "`us`"),
        (channel("rooms: {join: [r, r]}, events: {}"), "`r`"),
        (channel("rooms: {subscribe: {allow: [r, 'r-*', r]}}, events: {}"), "`r`"),
        (WEBHOOK % "[connected, disconnected, connected]" + PLAIN, "`connected`"),
        ("diff: {accept: [{code: D201, reason: x}, {code: D299, reason: x}]}\n" + PLAIN, "`code`"),
    ],
)  # fmt: skip
def test_without_effect(load_config: Load, text: str, names: str) -> None:
    verb = "have" if " and " in names else "has"
    assert idle(load_config, text) == [f"{names} {verb} no effect"]


@pytest.mark.parametrize(
    "text",
    [
        channel("rooms: r, events: {}, presence: {rate: 1/s, state: {type: object}}"),
        channel("rooms: r, events: {}, limits: {connections_per_user: 3}", "{use: s, optional: true}"),
        channel("events: {}, presence: {scope: channel}"),
        channel("events: {}, limits: {hook_timeout: 3s}, hooks: {close: 'm:f'}"),
        channel("rooms: [], events: {}, presence: 5"),
        channel("rooms: nonsense(, events: {}, limits: {rooms_per_connection: 3}"),
        channel("rooms: {subscribe: {allow: [a]}}, events: {}, hooks: {subscribe: 'm:f', unsubscribe: 'm:g'}"),
        channel("rooms: r, messages: {m: {schema: true, route: room, once: 60s, emit: {a: 1}}}"),
        channel("rooms: r, events: {}, history: {size: 5, ttl: 1h, rooms: 5, bytes: 1MiB}"),
        channel("messages: {m: {schema: true, route: {to: room, room: r, channel: other, members_only: false}, history: false}}"),
        WEBHOOK % "[connected, joined]" + PLAIN,
        WEBHOOK % "[joined]" + channel("events: {}, presence: {scope: channel}"),
        BACKEND + channel("messages: {m: {schema: true, hook: {backend: b, path: /x}}}"),
        "server: {compression: true}\n" + PLAIN,
        # Whatever an unset variable may be.
        'server: {limits: {connections: "${NONE}", connections_per_address: 20000}}\n' + PLAIN,
        'server: {compression: true, transports: ["${NONE}"]}\n' + PLAIN,
        # The control API and hooks put connections into rooms that no channel declares.
        API + channel("events: {}, presence: true, limits: {rooms_per_connection: 3}, hooks: {unsubscribe: 'm:f'}"),
        API + WEBHOOK % "[joined]" + channel("events: {e: {conflate: 1s}}"),
        channel("events: {}, presence: true, hooks: {connect: 'm:f'}"),
        channel("presence: true, messages: {m: {schema: true, hook: 'm:f'}}"),
        "hooks: {lifespan: 'm:f'}\n" + channel("events: {}, presence: true"),
        # What is off anyway may be written as off.
        channel("rooms: r, messages: {m: {schema: true, route: room, history: false}}, events: {e: {history: false}}"),
    ],
)  # fmt: skip
def test_with_effect(load_config: Load, text: str) -> None:
    assert idle(load_config, text) == []

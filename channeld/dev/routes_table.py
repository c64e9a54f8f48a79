"""Who may send what, and whom it reaches: the declared routes as rows."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import attrs

from channeld.config.model import Channel, Config, Message
from channeld.plan.targets.kinds import kind_of
from channeld.protocol.frames import Json
from channeld.telemetry import one_line


@attrs.frozen(slots=True, kw_only=True)
class Row:
    """One declared type of one channel; `type` is empty for a channel that declares none.

    `direction` is `in` for what clients send, `out` for what only the API and hooks publish.
    """

    channel: str
    path: str
    auth: str
    type: str = ""
    direction: str = "in"
    senders: str = ""
    receivers: tuple[str, ...] = ()


def rows(config: Config) -> Iterator[Row]:
    """A row per message and event, in the order of the file."""
    for channel in config.channels.values():
        row = partial(Row, channel=channel.name, path=channel.path, auth=_auth(channel))
        if not channel.messages and not channel.events:
            yield row()
        for name, message in channel.messages.items():
            receivers = tuple(receivers_of(channel, message))
            yield row(type=name, senders=_senders(channel, message), receivers=receivers)
        # An event of the same name only describes what a message delivers.
        for name in [name for name in channel.events or {} if name not in channel.messages]:
            senders, receivers = "API, hooks", ("as published",)
            yield row(type=name, direction="out", senders=senders, receivers=receivers)


def _auth(channel: Channel) -> str:
    names = ", ".join(channel.auth.names) or "none"
    return f"{names} (optional)" if channel.auth.optional else names


def _senders(channel: Channel, message: Message) -> str:
    wanted = [words for words in map(_requirements, (channel.require, message.require)) if words]
    if wanted:
        return f"users with {' and '.join(wanted)}"
    return "users" if channel.auth.names and not channel.auth.optional else "anyone"


def _requirements(require: Sequence[Mapping[str, Json]]) -> str:
    return " or ".join(requirement_words(require))


def requirement_words(require: Sequence[Mapping[str, Json]]) -> tuple[str, ...]:
    """The alternatives of a `require`, each in words."""
    return tuple(" and ".join(_requirement(*entry) for entry in one.items()) for one in require)


def _requirement(claim: str, value: Json) -> str:
    options = value if isinstance(value, list) else [value]
    return f"{claim}={'|'.join(map(_words, options))}"


def receivers_of(channel: Channel, message: Message) -> Iterator[str]:
    """Whom each route of a message reaches, in words."""
    for route in message.route:
        kind = kind_of(route)
        words = kind.words(route, channel, message)
        yield f"{words}, not the sender" if kind.to_others and route.except_sender else words


def _words(value: Json) -> str:
    return value if isinstance(value, str) else one_line(value)

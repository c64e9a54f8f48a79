"""Which of the protocol's own frames can occur on a channel, and with which error codes."""

from typing import Literal

from channeld.auth.authenticators import authenticator
from channeld.config.model import Channel, Config, Presence
from channeld.protocol.codes import ErrorCode
from channeld.protocol.frames import Json
from channeld.protocol.reserved import Features


def features(
    channel: Channel, config: Config, info: Json = True, routed: Json = True, state: Json = None
) -> Features:
    """What the channel offers, given the schemas of presence `info`, of the frames that a `history` frame holds, and of presence
    state (None: the channel has none).
    """
    presence = channel.presence
    return Features(
        users=bool(channel.auth.names),
        token_frames=_takes_token_frame(channel, config),
        tokens_end=_may_expire(channel, config),
        rooms=may_be_in_rooms(channel, config),
        subscribes=channel.rooms.subscribe is not None,
        one_room=len(channel.rooms.join) == 1,
        messages=bool(channel.messages),
        replies=any(message.hook is not None for message in channel.messages.values()),
        presence="none" if presence is None else presence.scope,
        changes=_changes(presence),
        history=channel.history is not None,
        codes=tuple(map(str, error_codes(channel, config))),
        info=info,
        state=state,
        routed=routed,
    )


def error_codes(channel: Channel, config: Config) -> list[ErrorCode]:
    """The error codes of channeld itself that can occur on a channel; hooks may add others."""
    declared = channel.messages.values()
    hooks = channel.hooks
    connection_hooks = (hooks.connect, hooks.subscribe, hooks.unsubscribe)
    hooked = any(connection_hooks) or any(message.hook for message in declared)
    subscribes = channel.rooms.subscribe
    absent = {
        ErrorCode.UNAUTHORIZED: not channel.auth.names,
        ErrorCode.TOKEN_EXPIRED: not _may_expire(channel, config),
        ErrorCode.LIMIT_EXCEEDED: subscribes is None,
        ErrorCode.REJECTED: not hooked and (subscribes is None or subscribes.hook is None),
    }
    return [code for code in ErrorCode if not absent.get(code, False)]


def may_be_in_rooms(channel: Channel, config: Config) -> bool:
    """Whether a connection can ever be in a room: on connect, by subscribing, or through a hook or the API."""
    hooks = channel.hooks
    hooked = any((hooks.connect, hooks.subscribe, hooks.close, hooks.unsubscribe))
    hooked = hooked or any(message.hook is not None for message in channel.messages.values())
    rooms = channel.rooms
    return bool(rooms.join) or rooms.subscribe is not None or hooked or config.api is not None


def _changes(presence: Presence | None) -> Literal["none", "gathered", "each"]:
    if presence is None or not presence.events:
        return "none"
    return "gathered" if presence.batch > 0 else "each"


def _takes_token_frame(channel: Channel, config: Config) -> bool:
    """Whether a token can be sent in an `authenticate` frame."""
    return any(
        "message" in authenticator(config.auth[name]).token_from() for name in channel.auth.names
    )


def _may_expire(channel: Channel, config: Config) -> bool:
    return any(authenticator(config.auth[name]).ends_connections() for name in channel.auth.names)

"""Describes the steps of a trace: paths that do not match, refusals, and who receives what."""

from collections.abc import Sequence

from channeld.plan.path_syntax import parse_path
from channeld.plan.paths import PathTable
from channeld.plan.plan import ChannelPlan, Plan, TargetPlan
from channeld.pointer import at
from channeld.protocol.frames import Frame
from channeld.protocol.names import Topic


def unmatched(plan: Plan, path: str) -> tuple[str, str]:
    """Why no channel matches a path, with a location: an invalid param, or an unknown path."""
    shapes: PathTable[ChannelPlan] = PathTable()
    for channel in plan.channels.values():
        pattern = parse_path(channel.path, [])
        if pattern is not None:
            shapes.add(pattern, channel, dict.fromkeys(pattern.params, str))
    found = shapes.match(path)
    if found is None:
        known = ", ".join(channel.path for channel in plan.channels.values())
        return f"404: no channel has this path; there are {known}", "/channels"
    channel, values = found
    params = ", ".join(f"{name}={value}" for name, value in values.items())
    words = f"404: the params of `{channel.name}` do not allow {params}"
    return words, at("/channels", channel.name, "params")


def error_words(error: Frame | None) -> str:
    """What a client was told; `closed` if nothing."""
    return "closed" if error is None else f"{error['code']}: {error['message']}"


def violations(error: Frame | None) -> Sequence[str]:
    """What the schema refused, one line each."""
    listed = [] if error is None else error.get("errors", [])
    return [f"{one['path'] or '/'}: {one['message']} ({one['keyword']})" for one in listed]


def target_words(target: TargetPlan, topic: Topic | None) -> str:
    """Who receives what goes to a target, with the topic that it has for one message."""
    if target.is_direct:
        return "the sender"
    if topic is None:
        return "nobody: an optional part of its name is missing"
    return f"{written(topic)}: {audience(topic, skips=target.except_sender)}"


def written(topic: Topic) -> str:
    """A topic as one text."""
    return ":".join(part for part in topic if part)


def audience(topic: Topic, *, skips: bool) -> str:
    """Who receives what is published to a topic; `skips`: without its sender."""
    words = {
        "room": f"members of room `{topic.name}` on `{topic.channel}`",
        "user": f"connections of user `{topic.name}` on `{topic.channel}`",
        "channel": f"everyone on `{topic.channel}`",
    }.get(topic.kind, "everyone on every channel")
    return f"{words}, not the sender" if skips else words

"""The console's content: channels as in `channeld routes`, examples to send, tokens to try."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from channeld.api.control import Console
from channeld.cli.links import chat_page, opened, token_of
from channeld.cli.trace import document
from channeld.config.model import Channel, Event, Message
from channeld.dev.routes_table import Row, rows
from channeld.plan.load import ValidConfig
from channeld.plan.plan import Plan
from channeld.protocol.frames import Json
from channeld.scenarios.trace import Visitor, trace
from channeld.schema.sample import sample
from channeld.schema.violations import Validator
from channeld.telemetry import silenced_here


def make_console(folder: Path, valid: Callable[[], ValidConfig], *, dev: bool) -> Console:
    """The parts of the console that the command line provides, for the configuration `valid` in its `folder`.

    For development (`dev`), it mints tokens and resolves short links.
    """
    if not dev:
        return Console(describe=describe, trace=partial(follow, valid))
    page = chat_page(folder)

    def opens(plan: Plan, code: str, url: str) -> str | None:
        return opened(plan, code, url, has_page=page is not None)

    return Console(
        describe=describe,
        mint=mint,
        opens=opens,
        page=lambda: page.read_bytes() if page is not None else None,
        trace=partial(follow, valid),
    )


def follow(
    valid: Callable[[], ValidConfig], path: str, frame: str | None, token: str | None
) -> dict[str, Json]:
    """Trace a message as `channeld trace` does. Hooks are not called, since they would have side effects."""
    with silenced_here():
        found = trace(valid(), path, frame, Visitor(token=token), wall=time.time(), run_hooks=False)
    return document(found)


def mint(plan: Plan, channel: str, user: str) -> str:
    """A development token.

    Raises:
        LookupError: the channel takes no tokens, or nothing can sign one.
    """
    auths = plan.channels[channel].auth
    if not auths:
        raise LookupError(f"channel `{channel}` takes no token")
    return token_of(plan, auths[0], user)


def describe(plan: Plan) -> list[Json]:
    """Describe each channel with its params, messages and events, their senders and receivers."""
    table: dict[str, list[Row]] = {}
    for row in rows(plan.config):
        table.setdefault(row.channel, []).append(row)
    return [
        _channel(plan, channel, table[channel.name]) for channel in plan.config.channels.values()
    ]


def _channel(plan: Plan, channel: Channel, told: list[Row]) -> Json:
    params: dict[str, Json] = {
        name: sample(channel.params.get(name, {}), "general", plan.config.schemas)
        for name in plan.channels[channel.name].param_names
    }
    typed = [row for row in told if row.type]
    return {
        "name": channel.name,
        "path": channel.path,
        "description": channel.description,
        "params": params,
        "auth": told[0].auth if told else "none",
        "needs_token": bool(channel.auth.names) and not channel.auth.optional,
        "takes_token": bool(channel.auth.names),
        "join": list[Json](channel.rooms.join),
        "subscribes": channel.rooms.subscribe is not None,
        "presence": channel.presence is not None,
        "history": channel.history is not None,
        "types": [_type(plan, channel, row) for row in typed],
    }


def _type(plan: Plan, channel: Channel, row: Row) -> Json:
    declared: Message | Event | None
    if row.direction == "in":
        declared = channel.messages[row.type]
    else:
        declared = (channel.events or {}).get(row.type)
    compiled = plan.channels[channel.name]
    kinds = compiled.messages if row.direction == "in" else compiled.events or {}
    kind = kinds.get(row.type)
    return {
        "type": row.type,
        "direction": row.direction,
        "senders": row.senders,
        "receivers": list[Json](row.receivers),
        "description": declared.description if declared is not None else "",
        "deprecated": isinstance(declared, Message) and declared.deprecated is not None,
        "example": _example(plan, row.type, declared, kind.validator if kind is not None else None)
        if declared is not None
        else {},
    }


def _example(
    plan: Plan, type_: str, declared: Message | Event, validator: Validator | None
) -> Json:
    """The first declared example, or a value that the schema accepts, or an empty object."""
    if declared.examples:
        example = declared.examples[0]
        if not isinstance(example, dict):
            return example
        masked = plan.sensitive.masked({"type": type_, **example})
        return {name: masked[name] for name in example}
    guess = sample(validator.schema, "hello") if validator is not None else {}
    return guess if isinstance(guess, dict) else {}

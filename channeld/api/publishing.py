"""Publishes events for the rest of an application: one, or an ordered batch in which each succeeds or fails alone.

Events are handed to the broker at once and in order; waiting for results happens afterwards.
"""

import hashlib
import zlib
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Final

import orjson
import trio

from channeld.api.control import Control
from channeld.api.forms import PUBLISH, Body, violations
from channeld.api.idempotency import WINDOW, KeptAnswer, Result, demand_same
from channeld.api.problems import Problem
from channeld.broker.broker import BrokerUnavailable, Position
from channeld.broker.once import AlreadyTaken, Once
from channeld.engine.publishing import FrameRefused
from channeld.later import Later, Pending, resolved
from channeld.protocol.frames import CheckedJson, Json
from channeld.schema.violations import Violation

# A batch lets other tasks run after this many.
_AT_ONCE: Final = 50
_OWNERS: Final = 16


def away(error: BrokerUnavailable) -> Problem:
    """The answer while the broker is unreachable."""
    seconds = str(max(1, round(error.retry_after)))
    headers = {"retry-after": seconds}
    if error.is_unknown:
        detail = "the broker did not answer; the request may have been carried out"
        return Problem(503, detail, headers=headers, outcome="unknown")
    return Problem(503, "the broker is unreachable; try again", headers=headers)


def once_for(channel: str, key: str) -> Once:
    """An idempotency key for the broker, which claims it for all nodes together with the publication."""
    # Several owners per channel, since each has a bounded number of keys.
    part = zlib.crc32(key.encode()) % _OWNERS
    return Once(f"idempotency {part} {channel}", key, WINDOW)


def begin(control: Control, body: Body) -> Awaitable[Result]:
    """Publish one event; `body` satisfies `PUBLISH`.

    Returns:
        An awaitable of the answer, which may also raise a `Problem`.

    Raises:
        Problem: 400, 404, 422 or 503: nothing was published.
    """
    channel, key = body["channel"], body.get("idempotency_key")
    if key is None:
        return _answer(control, _publish(control, body, None))
    fingerprint = _fingerprint(body)
    known = control.idempotency.find(channel, key, fingerprint)
    if known is not None:
        return known.result()
    later: Later[Position | None] | None
    try:
        later = _publish(control, body, once_for(channel, key))
    except AlreadyTaken:
        later = None
    entry = control.idempotency.add(channel, key, fingerprint)
    answer = _answer_once(control, entry, (channel, key), later)
    return control.idempotency.settle(channel, key, entry, answer)


def _publish(
    control: Control, body: Mapping[str, CheckedJson], once: Once | None
) -> Later[Position | None]:
    channel = body["channel"]
    if channel != "*":
        control.channel(channel)
    elif body["to"] != "global":
        raise Problem(
            400, "`*` is for `to: global` only", [Violation("/channel", "names none", "const")]
        )
    try:
        return control.engine.publish(
            channel,
            body["event"],
            room=body.get("room"),
            user=body.get("user"),
            skip=body.get("except"),
            once=once,
        )
    except FrameRefused as refused:
        raise Problem(422, str(refused), refused.violations) from None
    except BrokerUnavailable as error:
        raise away(error) from None


async def _answer_once(
    control: Control,
    entry: KeptAnswer,
    name: tuple[str, str],
    later: Later[Position | None] | None,
) -> Result:
    """As `_answer`. If another node took the key (`later` is None or says so), the position is the one that node published at."""
    if later is not None:
        with suppress(AlreadyTaken):
            return await _answer(control, later)
    entry.is_elsewhere = True
    try:
        first = await control.cluster.published(*name)
    except BrokerUnavailable as error:
        raise away(error) from None
    if first is None:
        return _told(control, None)
    fingerprint, position = first
    demand_same(fingerprint, entry.fingerprint)
    return _told(control, position)


async def _answer(control: Control, later: Later[Position | None]) -> Result:
    try:
        position = await Pending(resolved(later))
    except BrokerUnavailable as error:
        raise away(error) from None
    return _told(control, None if position is None else str(position))


def _told(control: Control, position: str | None) -> Result:
    place: Result = {} if position is None else {"pos": position}
    return {**place, "nodes": 1 + control.cluster.statistics().nodes}


def _fingerprint(body: Mapping[str, CheckedJson]) -> str:
    asked = {name: value for name, value in body.items() if name != "idempotency_key"}
    return hashlib.blake2b(
        orjson.dumps(asked, option=orjson.OPT_SORT_KEYS), digest_size=16
    ).hexdigest()


async def publish_all(control: Control, batch: list[CheckedJson]) -> list[Json]:
    """Publish a batch (which satisfies `BATCH`); each result is the answer to publishing it alone, or `problem`."""
    results: list[Json] = []
    for start in range(0, len(batch), _AT_ONCE):
        begun = [_begin_alone(control, row["publish"]) for row in batch[start : start + _AT_ONCE]]
        results += [await _result(one) for one in begun]
        await trio.lowlevel.checkpoint()
    return results


def _begin_alone(control: Control, body: Body) -> Awaitable[Result] | Problem:
    found = violations(PUBLISH, body)
    if found:
        return Problem(400, "it is not valid", found)
    try:
        return begin(control, body)
    except Problem as problem:
        return problem


async def _result(begun: Awaitable[Result] | Problem) -> Json:
    try:
        return {"problem": begun.document()} if isinstance(begun, Problem) else await begun
    except Problem as problem:
        return {"problem": problem.document()}

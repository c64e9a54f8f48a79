"""What nodes send each other on the control topics: four kinds of JSON messages, parsed strictly.

    here    I am here; with `greeting`, also: who are you?
    bye     I am leaving
    ask     to every node: do this, or tell me that
    answer  one part of a node's answer; the one with `last` is its end

Any program with access to the broker can write here, so a message with another form, of another version or with an unknown
verb is dropped and counted. Rooms and users are JSON values, never part of a topic's name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import attrs
import orjson

from channeld.broker.broker import Topic
from channeld.protocol.frames import CheckedJson, Json
from channeld.schema.compiled import compiled
from channeld.schema.violations import Validator
from channeld.telemetry import BUCKETS, METRICS, Histogram, Sample

VERSION: Final = 1
ROWS_IN_A_PART: Final = 500

EVERY_NODE: Final = Topic("node", "", "*")


def node_topic(node: str) -> Topic:
    """The topic of one node."""
    return Topic("node", "", node)


@attrs.frozen(slots=True)
class Here:
    """`node` is alive; it accepts clients if it is `ready`; `plan` is the digest of its plan. A `greeting` asks for a `here` in return."""

    node: str
    greeting: bool
    ready: bool
    plan: str


@attrs.frozen(slots=True)
class Bye:
    """`node` has stopped."""

    node: str


@attrs.frozen(slots=True)
class Ask:
    """`node` asks all others; `number` identifies the question."""

    node: str
    number: int
    verb: str
    arguments: Mapping[str, Json]


@attrs.frozen(slots=True)
class Answer:
    """A part of `node`'s answer to question `number`."""

    node: str
    number: int
    verb: str
    rows: Sequence[Json]
    last: bool


Message: TypeAlias = Here | Bye | Ask | Answer

_NAME: Json = {"type": "string", "minLength": 1, "maxLength": 128}
_MAYBE_NAME: Json = {"type": ["string", "null"], "minLength": 1, "maxLength": 128}
_DIGEST: Json = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_NODE: Json = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"}
_NUMBER: Json = {"type": "integer", "minimum": 1, "maximum": 2**53}


def closed(**properties: Json) -> Json:
    """The schema of an object with exactly these properties."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def row(*items: Json) -> Json:
    """The schema of an array of exactly these items."""
    size = len(items)
    return {"type": "array", "prefixItems": list(items), "minItems": size, "maxItems": size}


_WHO: dict[str, Json] = {"user": _MAYBE_NAME, "connection": _MAYBE_NAME}
_ROOMS: Json = {"type": "array", "items": {"type": "string"}, "maxItems": 1_000}
_REASON: Json = {"type": "string", "maxLength": 512}

# For each verb, the form of its arguments and of one row of an answer.
_VERBS: Final[Mapping[str, tuple[Json, Json]]] = {
    "ping": (closed(), {"const": True}),
    "connections": (
        closed(user=_MAYBE_NAME, channel=_MAYBE_NAME, room=_MAYBE_NAME),
        row(_NAME, _NAME, _MAYBE_NAME, {"type": "string"}, {"type": "number"}, _ROOMS),
    ),
    "rooms": (closed(channel=_MAYBE_NAME), row(_NAME, {"type": "string"}, _COUNT)),
    "counts": (closed(), row(_NAME, _COUNT)),
    "disconnect": (
        closed(
            **_WHO,
            code={"type": "integer", "minimum": 1000, "maximum": 4999},
            reason=_REASON,
        ),
        _COUNT,
    ),
    "subscribe": (closed(**_WHO, channel=_NAME, room=_NAME), _COUNT),
    "unsubscribe": (
        closed(**_WHO, channel=_NAME, room=_NAME, reason={"anyOf": [_REASON, {"type": "null"}]}),
        _COUNT,
    ),
    "plan": (
        closed(),
        row(_NAME, _DIGEST, _COUNT, {"type": "number", "minimum": 0}),
    ),
    "online": (closed(channel=_NAME, user=_NAME), {"type": "boolean"}),
    "show": (
        closed(connection=_NAME, room=_MAYBE_NAME, state={"type": ["object", "null"]}),
        {"type": "boolean"},
    ),
    "post": (
        closed(
            stream={"type": "string", "minLength": 1, "maxLength": 128},
            channel=_NAME,
            user=_MAYBE_NAME,
            texts={"type": "array", "items": {"type": "string"}, "maxItems": 100},
        ),
        {
            "anyOf": [
                {"type": "integer", "minimum": 400, "maximum": 599},
                {"type": "array", "items": {"type": "string"}},
            ]
        },
    ),
    "published": (
        closed(channel=_NAME, key=_NAME),
        row({"type": "string"}, {"type": ["string", "null"]}),
    ),
    "revoke": (
        closed(
            user=_MAYBE_NAME,
            token_id={"type": ["string", "null"], "minLength": 1, "maxLength": 512},
            before={"type": "number"},
            until={"type": "number"},
        ),
        _COUNT,
    ),
    "restore": (closed(id=_NAME), {"type": "boolean"}),
    "samples": (
        closed(group=_NODE),
        row(
            {"enum": list(METRICS)},
            {"anyOf": [{"type": "number"}, row({"type": "number"}, {"type": "array"})]},
            {"type": "array", "items": {"type": "string"}},
        ),
    ),
}


def _message(kind: str, **properties: Json) -> Validator:
    return compiled(closed(v={"const": VERSION}, kind={"const": kind}, node=_NODE, **properties))


_HERE = _message("here", greeting={"type": "boolean"}, ready={"type": "boolean"}, plan=_DIGEST)
_BYE = _message("bye")
_ASKS = {
    verb: _message("ask", number=_NUMBER, verb={"const": verb}, arguments=arguments)
    for verb, (arguments, _) in _VERBS.items()
}
_ANSWERS = {
    verb: _message(
        "answer",
        number=_NUMBER,
        verb={"const": verb},
        last={"type": "boolean"},
        rows={"type": "array", "items": row, "maxItems": ROWS_IN_A_PART},
    )
    for verb, (_, row) in _VERBS.items()
}


def pack(message: Message) -> bytes:
    """The message as JSON.

    Raises:
        TypeError: a name in it cannot be expressed in JSON.
    """
    kind = type(message).__name__.lower()
    return orjson.dumps({"v": VERSION, "kind": kind, **attrs.asdict(message, recurse=False)})


def unpack(payload: bytes) -> Message | None:
    """The message that `pack` wrote, or None for anything else."""
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    kind, verb = value.get("kind"), value.get("verb")
    validator, make = _form(kind, verb if isinstance(verb, str) else "")
    if validator is None or not validator.accepts(value):
        return None
    del value["v"], value["kind"]
    return make(**value)


def _form(kind: object, verb: str) -> tuple[Validator | None, type[Here | Bye | Ask | Answer]]:
    if kind == "here":
        return _HERE, Here
    if kind == "bye":
        return _BYE, Bye
    if kind == "ask":
        return _ASKS.get(verb), Ask
    return (_ANSWERS.get(verb) if kind == "answer" else None), Answer


def parts(node: str, ask: Ask, rows: Sequence[Json]) -> Iterator[Answer]:
    """The answers to a question, one for each batch of rows, at least one."""
    for start in range(0, max(1, len(rows)), ROWS_IN_A_PART):
        end = start + ROWS_IN_A_PART
        yield Answer(node, ask.number, ask.verb, rows[start:end], last=end >= len(rows))


def pack_samples(samples: Iterable[Sample]) -> list[Json]:
    """Metric samples as rows."""
    return [
        [
            name,
            [value.total, list(value.counts)] if isinstance(value, Histogram) else value,
            list(labels),
        ]
        for name, value, labels in samples
    ]


def unpack_samples(rows: Iterable[CheckedJson]) -> Iterator[Sample]:
    """The samples from such rows, without those that the table of metrics does not have (another release's)."""
    for name, value, labels in rows:
        metric = METRICS[name]
        if len(labels) != len(metric.labels):
            continue
        if metric.kind != "histogram" and not isinstance(value, list):
            yield Sample(name, value, tuple(labels))
        elif metric.kind == "histogram" and isinstance(value, list) and _are_counts(value[1]):
            yield Sample(name, Histogram(value[1], value[0]), tuple(labels))


def _are_counts(counts: list[Json]) -> bool:
    fit = len(counts) == len(BUCKETS) + 1
    return fit and all(type(count) is int and count >= 0 for count in counts)

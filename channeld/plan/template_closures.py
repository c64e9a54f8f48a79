"""Turns a checked template into the closure that renders it.

Nothing is decided at run time: a constant renders itself, an expression is one lookup, an object one loop.
"""

import datetime as dt
import functools
from collections.abc import Sequence

import orjson

from channeld.plan.expressions import Array, Expression, Literal, Node, Object, Text
from channeld.plan.plan import MISSING, Scope, Template
from channeld.protocol.frames import CheckedJson, Frame, Json


def build(node: Node) -> Template:
    """The closure that renders a checked tree."""
    match node:
        case Literal(value):
            # A recipient may add fields, so return a new object each time.
            return (lambda scope, frame: value.copy()) if isinstance(value, dict) else _same(value)
        case Expression():
            return _lookup(node)
        case Text(parts):
            each = any(isinstance(part, Expression) and part.is_each for part in parts)
            return _build_each(parts) if each else _build_text(parts)
        case Object(entries):
            return _build_object(entries)
        case Array(elements):
            return _build_array([build(element) for element in elements])


def text_of(value: object) -> str:
    """A scalar as text: strings as they are, everything else as JSON."""
    if type(value) is str:
        return value
    return orjson.dumps(value).decode()


def _same(value: Json) -> Template:
    return lambda scope, frame: value


def _build_text(parts: Sequence[str | Expression]) -> Template:
    pieces = [part if isinstance(part, str) else build(part) for part in parts]

    def render(scope: Scope, frame: Frame) -> object:
        texts = []
        for piece in pieces:
            if isinstance(piece, str):
                texts.append(piece)
                continue
            value = piece(scope, frame)
            if value is MISSING:
                return MISSING
            texts.append(value if type(value) is str else text_of(value))
        return "".join(texts)

    return render


def _build_each(parts: Sequence[str | Expression]) -> Template:
    """Build a list of texts: one for each element of the list that the template names."""
    pieces = [part if isinstance(part, str) else build(part) for part in parts]

    def render(scope: Scope, frame: Frame) -> object:
        texts = [""]
        for piece in pieces:
            value = piece if isinstance(piece, str) else piece(scope, frame)
            if value is MISSING:
                return MISSING
            values = value if isinstance(value, list) else [text_of(value)]
            texts = [before + after for before in texts for after in values]
        return texts

    return render


def _build_object(entries: Sequence[tuple[str, Node]]) -> Template:
    # The model holds every key in order, so the copy keeps the order, `type` first.
    model = {key: node.value if isinstance(node, Literal) else None for key, node in entries}
    live = [(key, build(node)) for key, node in entries if not isinstance(node, Literal)]

    def render(scope: Scope, frame: Frame) -> object:
        rendered = model.copy()
        for key, template in live:
            value = template(scope, frame)
            if value is MISSING:
                del rendered[key]
            else:
                rendered[key] = value
        return rendered

    return render


def _build_array(templates: Sequence[Template]) -> Template:
    def render(scope: Scope, frame: Frame) -> object:
        values = (template(scope, frame) for template in templates)
        return [value for value in values if value is not MISSING]

    return render


def _lookup(expression: Expression) -> Template:  # noqa: C901, PLR0911, PLR0912 - one branch a root
    path = expression.path
    match expression.root:
        case "message" | "event":
            return _walk_optional(path) if expression.optional else _walk(path)
        case "params":
            name = path[0]
            return lambda scope, frame: scope.params[name]
        case "query":
            name = path[0]
            return lambda scope, frame: scope.query.get(name, MISSING)
        case "user":
            return lambda scope, frame: MISSING if scope.user_id is None else scope.user_id
        case "claims" if expression.is_each:
            return _elements(path[:-1])
        case "claims":
            walk = _walk_optional(path) if expression.optional else _walk(path)
            return lambda scope, frame: walk(scope, scope.claims)  # type: ignore[arg-type]
        case "connection":
            return lambda scope, frame: scope.connection_id
        case "room":
            return lambda scope, frame: MISSING if scope.room is None else scope.room
        case "now":
            return lambda scope, frame: _rfc3339(scope.now_ms())
        case "now_ms":
            return lambda scope, frame: scope.now_ms()
        case _:
            return lambda scope, frame: scope.uuid()


def _walk(path: Sequence[str]) -> Template:
    if len(path) == 1:
        (only,) = path
        return lambda scope, frame: frame[only]
    if len(path) == 2:
        first, second = path
        return lambda scope, frame: frame[first][second]

    def render(scope: Scope, frame: Frame) -> object:
        value: CheckedJson = frame
        for name in path:
            value = value[name]
        return value

    return render


def _walk_optional(path: Sequence[str]) -> Template:
    if len(path) == 1:
        (only,) = path
        return lambda scope, frame: frame.get(only, MISSING)

    def render(scope: Scope, frame: Frame) -> object:
        value: CheckedJson = frame.get(path[0], MISSING)
        for name in path[1:]:
            if not isinstance(value, dict):
                return MISSING
            value = value.get(name, MISSING)
        return value

    return render


def _elements(path: Sequence[str]) -> Template:
    """The elements of a list that can be part of a name; others are skipped."""
    walk = _walk_optional(path)

    def render(scope: Scope, frame: Frame) -> object:
        value = walk(scope, scope.claims)  # type: ignore[arg-type]
        elements = value if isinstance(value, list) else ()
        return [one for one in elements if isinstance(one, str) and 1 <= len(one) <= 128]

    return render


def as_text(template: Template) -> Template:
    """A template that renders text: anything else becomes JSON."""

    def render(scope: Scope, frame: Frame) -> object:
        value = template(scope, frame)
        return value if value is MISSING or type(value) is str else text_of(value)

    return render


def _rfc3339(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@functools.lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")

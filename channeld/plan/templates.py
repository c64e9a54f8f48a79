"""Compiles templates: a JSON value with expressions is checked against its scope, and becomes one closure.

Nothing is decided at run time: a constant renders itself, an expression is one lookup, an object one loop. A template that
`TemplateCompiler.compile` accepts cannot fail at run time. It gives MISSING only if an expression in it ends in `?`; the
object field or list element that holds the expression is then left out.
"""

import datetime as dt
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import attrs
import orjson

from channeld.config.source import Sources
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Place, Related, Report
from channeld.plan.expressions import (
    Array,
    Expression,
    Literal,
    Node,
    Object,
    TemplateSyntaxError,
    Text,
    bare_expressions,
    expressions,
    literal_braces,
    parse,
    with_type,
)
from channeld.plan.plan import MISSING, Scope, Template
from channeld.plan.template_scope import SCALARS, Resolved, TemplateError, TemplateScope, resolve
from channeld.pointer import at, leaves
from channeld.protocol.frames import HIGHEST, LOWEST, CheckedJson, Frame, Json
from channeld.protocol.names import is_room_name
from channeld.schema.cases import type_of
from channeld.schema.words import types_in_words

NAME_TYPES = frozenset({"string", "integer", "number"})
_T = TypeVar("_T")
_AROUND_PARAMS = ":<>$@%#[]"
_PARAM_IN_TEXT = re.compile(r"([:$@])([A-Za-z_]\w*)")


@attrs.frozen(slots=True, kw_only=True)
class CheckedTemplate:
    """A valid template: its tree, its closure, its JSON types; `maybe`: it can be MISSING."""

    node: Node
    render: Template
    types: frozenset[str]
    maybe: bool

    @property
    def is_each(self) -> bool:
        """Whether it renders a list with one text per element."""
        return any(one.is_each for one in expressions(self.node))


@attrs.frozen(slots=True)
class TemplateCompiler:
    """Checks and compiles templates; findings go to `report`, located by `sources`."""

    sources: Sources
    report: Report

    def compile(self, value: Json, pointer: str, scope: TemplateScope) -> CheckedTemplate | None:
        """Compile a template of any JSON type; None after a finding."""
        node = self.parse(value, pointer)
        if node is None:
            return None
        for text, where in bare_expressions(value, pointer):
            if "." in text or scope.place == "stamp":
                self.warn_of_text(text, where, text)
        return self.compile_node(node, scope)

    def compile_node(self, node: Node, scope: TemplateScope) -> CheckedTemplate | None:
        """As `compile`, for a parsed tree."""
        found = self._check(node, scope)
        if found is None:
            return None
        node = with_type(node, scope.message_type)
        return CheckedTemplate(node=node, render=build(node), types=found.types, maybe=found.maybe)

    def compile_name(self, text: str, pointer: str, scope: TemplateScope) -> CheckedTemplate | None:
        """Compile a template for a room name or user id: renders a string (numbers become text), or MISSING."""
        checked = self.compile(text, pointer, scope)
        if checked is None:
            return None
        if not checked.types <= NAME_TYPES:
            self._refuse_types(checked, pointer)
            return None
        if isinstance(checked.node, Literal) and not is_room_name(str(checked.node.value)):
            finding = f"{str(checked.node.value)[:40]!a} is not a possible name"
            help = "a name has 1 to 128 characters, in Unicode form NFC, and no control characters"
            self.find("CH336", finding, pointer, help)
            return None
        if isinstance(checked.node, Literal):
            self._warn_of_params(text, pointer, scope)
        each = [one for one in expressions(checked.node) if one.is_each]
        if len(each) > 1:
            label = "one list has been named before"
            message = "a template can name one room for each element of one list"
            self._refuse(each[1], TemplateError("CH320", message, label, "make two templates"))
            return None
        if each or checked.types <= {"string"}:
            return checked
        return attrs.evolve(checked, render=_as_text(checked.render))

    def parse(self, value: Json, pointer: str) -> Node | None:
        """Parse a template; None after findings about its syntax."""
        mistakes: list[TemplateSyntaxError] = []
        node = parse(value, pointer, mistakes)
        for mistake in mistakes:
            place = (
                self.sources.place(mistake.pointer, key=True)
                if mistake.offset < 0
                else self.sources.span(mistake.pointer, mistake.offset, mistake.length)
            )
            code = "CH320" if mistake.offset < 0 else "CH318"
            self.find(code, mistake.message, place, mistake.help)
        for text, where, offset in literal_braces(value, pointer):
            self._warn_of_literal(text, self.sources.span(where, offset, len(text)))
        too_large = [*_too_large(value, pointer)]
        for number, where in too_large:
            self.find("CH014", f"`{number}` is over 64 bits", where, "no frame can contain it")
        return None if mistakes or too_large else node

    def _warn_of_literal(self, text: str, place: Place) -> None:
        meant = "{" + text.strip("${}").strip() + "}"
        if text.startswith("$"):
            message = f"`{text}` is sent with its `$`"
            help = f"write `{meant}`; `${{NAME}}` is for the environment, and not replaced here"
        else:
            message = f"`{text}` is literal text: doubled braces are not replaced"
            help = f"write `{meant}`"
        self.find("CH340", message, place, help)

    def _warn_of_params(self, text: str, pointer: str, scope: TemplateScope) -> None:
        """CH340 for a text that has a param of the path in it, as other routers write one."""
        params = scope.params or ()
        if (name := text.strip(_AROUND_PARAMS)) in params:
            self.warn_of_text(text, pointer, f"params.{name}")
            return
        found = next((one for one in _PARAM_IN_TEXT.finditer(text) if one[2] in params), None)
        if found is not None:
            kept = found[1] if found[1] == ":" and text[: found.start()][-1:].isalnum() else ""
            meant = f"{text[: found.start()]}{kept}{{params.{found[2]}}}{text[found.end() :]}"
            message = f"`{found[0]}` without braces is that text itself"
            self.find("CH340", message, pointer, f'write `"{meant}"`')

    def warn_of_text(self, text: str, pointer: str, meant: str) -> None:
        """Report CH340 for an expression without its braces."""
        message = f"`{text}` without braces is that text itself"
        self.find("CH340", message, pointer, f'write `"{{{meant}}}"`')

    def find(  # noqa: PLR0913 - the parts of a finding
        self,
        code: str,
        message: str,
        where: str | Place,
        help: str = "",
        *,
        label: str = "",
        related: tuple[Related, ...] = (),
        key: bool = False,
    ) -> None:
        """Report a finding at a location, or at a pointer's value or (`key`) its key."""
        place = self.sources.place(where, key=key) if isinstance(where, str) else where
        found = diagnose(code, message, place, help=help, label=label, related=related)
        self.report.add(found)

    def each(self, values: Iterable[_T], pointer: str) -> Iterator[tuple[_T, str]]:
        """Pairs of value and pointer; a single value need not be written as a list."""
        listed = isinstance(self.sources.written(pointer), list)
        for index, value in enumerate(values):
            yield value, at(pointer, index) if listed else pointer

    def place(self, expression: Expression) -> Place:
        """The location of an expression including its braces; for one in a key, the key."""
        if expression.offset < 0:
            return self.sources.place(expression.pointer, key=True)
        return self.sources.span(expression.pointer, expression.offset, expression.length)

    def _check(self, node: Node, scope: TemplateScope) -> Resolved | None:
        match node:
            case Literal(value):
                return Resolved(frozenset({type_of(value)}))
            case Expression():
                return self._check_expression(node, scope)
            case Text(parts):
                return self._check_text(parts, scope)
            case Object(entries):
                found = [self._check(child, scope) for _, child in entries]
                return None if None in found else Resolved(frozenset({"object"}))
            case Array(elements):
                found = [self._check(child, scope) for child in elements]
                return None if None in found else Resolved(frozenset({"array"}))

    def _check_expression(self, expression: Expression, scope: TemplateScope) -> Resolved | None:
        found = resolve(expression, scope)
        if isinstance(found, Resolved):
            return found
        self._refuse(expression, found)
        return None

    def _check_text(
        self, parts: Sequence[str | Expression], scope: TemplateScope
    ) -> Resolved | None:
        maybe, sound = False, True
        for part in parts:
            if isinstance(part, str):
                continue
            found = self._check_expression(part, scope)
            if found is None:
                sound = False
                continue
            maybe = maybe or found.maybe
            if not found.types <= SCALARS:
                sound = False
                label = f"`{part.source}` may be {types_in_words(found.types - SCALARS)}"
                help = "give the schema a scalar `type`, or let the expression stand alone"
                message = "a value within a longer string must be a scalar"
                self._refuse(part, TemplateError("CH311", message, label, help))
        return Resolved(frozenset({"string"}), maybe) if sound else None

    def _refuse(self, expression: Expression, error: TemplateError) -> None:
        place = self.place(expression)
        self.find(error.code, error.message, place, error.help, label=error.label)

    def _refuse_types(self, checked: CheckedTemplate, pointer: str) -> None:
        found = next(expressions(checked.node), None)
        source = f"`{found.source}`" if found is not None else "this"
        label = f"{source} may be {types_in_words(checked.types - NAME_TYPES)}"
        help = "give the property `type: string` in the schema"
        where = self.place(found) if found is not None else pointer
        self.find("CH311", "a name must be a string", where, help, label=label)


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


def _too_large(value: Json, pointer: str) -> Iterator[tuple[int, str]]:
    """The integers of a template that are too large for a frame, and their locations."""
    for leaf, where in leaves(value, pointer):
        if isinstance(leaf, int) and not LOWEST <= leaf <= HIGHEST:
            yield leaf, where


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


def _as_text(template: Template) -> Template:
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

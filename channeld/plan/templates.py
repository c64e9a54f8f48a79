"""Compiles templates: a JSON value with expressions is checked against its scope, and becomes one closure.

A template that `TemplateCompiler.compile` accepts cannot fail at run time. It gives MISSING only if an expression in it ends
in `?`; the object field or list element that holds the expression is then left out.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import attrs

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
from channeld.plan.plan import Template
from channeld.plan.template_closures import as_text, build
from channeld.plan.template_scope import SCALARS, Resolved, TemplateError, TemplateScope, resolve
from channeld.pointer import at, leaves
from channeld.protocol.frames import HIGHEST, LOWEST, Json
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
        return attrs.evolve(checked, render=as_text(checked.render))

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


def _too_large(value: Json, pointer: str) -> Iterator[tuple[int, str]]:
    """The integers of a template that are too large for a frame, and their locations."""
    for leaf, where in leaves(value, pointer):
        if isinstance(leaf, int) and not LOWEST <= leaf <= HIGHEST:
            yield leaf, where

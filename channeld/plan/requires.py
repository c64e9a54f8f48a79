"""`require`: which claims are compared with what; compiled once per channel or message.

A `require` is one mapping or a list of alternatives; each entry names a claim (`claim_paths`) and what it must be. A scalar
or a template must equal the claim, or be in it if the claim is a list or a string of words; a list gives alternatives; a
mapping is a JSON Schema that the claim must satisfy.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from channeld.config.language import joined
from channeld.config.meant import entry
from channeld.plan.claim_paths import parse_claim_path
from channeld.plan.expressions import Literal, TemplateSyntaxError
from channeld.plan.identity import Claim
from channeld.plan.plan import MISSING, Require, Requirement, Scope, Template
from channeld.plan.template_closures import text_of
from channeld.plan.template_scope import SCALARS, TemplateScope
from channeld.plan.templates import TemplateCompiler
from channeld.pointer import at, leaves
from channeld.protocol.frames import CheckedJson, Frame, Json
from channeld.schema.cases import identity, type_of
from channeld.schema.schemas import Schemas
from channeld.schema.vocabulary import KEYWORDS, nearest_keyword, subschemas
from channeld.suggest import did_you_mean

if TYPE_CHECKING:
    from channeld.schema.compare.schema_ref import Node, Part

# Keywords of older drafts have findings of their own.
_KNOWN: Final = frozenset(KEYWORDS) | {
    *("id", "definitions", "dependencies", "additionalItems", "$recursiveRef", "$recursiveAnchor"),
}
# Claims are named without `claims.`; a claim of that name is written `["claims"].role`.
_OF_TEMPLATES: Final = re.compile(r"\{?(?:claims\.([\w.-]+)|user\.id)\??\}?")
_TEMPLATE: Final = re.compile(r"\{(?:params|query|user|claims|message)\.[^{}\s]+\}")
_COMPARISON: Final = re.compile(r"\s*(>=|<=|>|<)\s*(-?[0-9]+(?:\.[0-9]+)?)\s*")
_BOUNDS: Final = {
    ">=": "minimum",
    "<=": "maximum",
    ">": "exclusiveMinimum",
    "<": "exclusiveMaximum",
}
_ANY_OF: Final = frozenset(
    {"in", "any", "one_of", "anyof", "oneof", "eq", "equals", "is", "any_of"}
)
_ALL_OF: Final = frozenset({"contains_all", "containsall", "has_all", "hasall", "all"})
_PATTERN: Final = frozenset({"regex", "regexp", "match", "matches"})
_COMPARED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("min", "gte", "ge", "at_least"), "minimum"),
    **dict.fromkeys(("max", "lte", "le", "at_most"), "maximum"),
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
}
_SPEAKS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength", "pattern", "format", "contentEncoding"),
    "array": (
        *("items", "prefixItems", "contains", "minContains", "maxContains"),
        *("minItems", "maxItems", "uniqueItems", "unevaluatedItems"),
    ),
    "object": (
        *("properties", "required", "patternProperties", "additionalProperties"),
        *("propertyNames", "minProperties", "maxProperties", "dependentRequired"),
    ),
}


_Accepts: TypeAlias = Callable[[Json, Scope, Frame], bool]


@attrs.frozen(slots=True)
class _AskedClaim:
    """A required claim; `names` lead to it if none is a template and something is `known` about it."""

    key: str
    names: tuple[str, ...] = ()
    known: Claim | None = None


@attrs.frozen(slots=True)
class RequireCompiler:
    """Compiles one `require`, and reports what is wrong with it."""

    scope: TemplateScope
    templates: TemplateCompiler
    schemas: Schemas

    def compile(self, require: Sequence[Mapping[str, Json]], pointer: str) -> Require:
        """Compile the alternatives of the `require` at `pointer`; empty if nothing is required."""
        written = self.templates.each(require, pointer)
        return tuple(tuple(self._entries(entries, place)) for entries, place in written)

    def _entries(self, entries: Mapping[str, Json], pointer: str) -> Iterator[Requirement]:
        for key, wanted in entries.items():
            place = at(pointer, key)
            path = self._path(key, place)
            if path is None:
                continue
            asked = self._asked(key, path, place)
            options = wanted if isinstance(wanted, list) else [wanted]
            accepts = [
                self._wanted(option, at(place, index) if isinstance(wanted, list) else place, asked)
                for index, option in enumerate(options)
            ]
            sound = tuple(accept for accept in accepts if accept is not None)
            yield Requirement(key, path, sound)

    # ---------------------------------------------------------------------------------------------------- paths

    def _path(self, key: str, pointer: str) -> tuple[str | Template, ...] | None:
        mistakes: list[TemplateSyntaxError] = []
        meant = _OF_TEMPLATES.fullmatch(key)
        if meant is not None:
            name = "sub" if meant[0].strip("{}") == "user.id" else meant[1]
            finding = f"`{key}` names a claim as a template does"
            self.templates.find("CH318", finding, pointer, f"write `{name}`", key=True)
            return None
        steps = parse_claim_path(key, pointer, mistakes)
        for mistake in mistakes:
            self.templates.find("CH318", mistake.message, pointer, mistake.help, key=True)
        if mistakes:
            return None
        path: list[str | Template] = []
        for step in steps:
            if isinstance(step, Literal):
                path.append(str(step.value))
                continue
            checked = self.templates.compile_node(step, self.scope)
            if checked is None:
                return None
            if not checked.types <= SCALARS:
                self.templates.find(
                    "CH311", "a step of a path must be a scalar", pointer, "name a scalar", key=True
                )
                return None
            path.append(checked.render)
        return tuple(path)

    def _asked(self, key: str, path: Sequence[str | Template], pointer: str) -> _AskedClaim:
        names = tuple(step for step in path if isinstance(step, str))
        identity = self.scope.identity
        if len(names) < len(path) or identity is None or not identity.authenticators:
            return _AskedClaim(key)
        known = identity.claim(names)
        if not known.possible:
            self._note_impossible(key, names, pointer, known)
            return _AskedClaim(key)
        return _AskedClaim(key, names, known)

    def _note_impossible(
        self, key: str, names: tuple[str, ...], pointer: str, known: Claim
    ) -> None:
        """CH416: a claim that the `claims` schemas of all authenticators exclude."""
        steps = (step for step in reversed(names) if step not in known.names)
        meant = next(filter(None, (did_you_mean(step, known.names, "") for step in steps)), "")
        help = meant or "declare it in the authenticator's `claims` schema"
        message = f"no token can have the claim `{key}`"
        self.templates.find("CH416", message, pointer, help, key=True)

    # --------------------------------------------------------------------------------------------------- values

    def _wanted(self, value: Json, pointer: str, asked: _AskedClaim) -> _Accepts | None:
        if isinstance(value, dict):
            return self._schema(value, pointer, asked)
        compared = _COMPARISON.fullmatch(value) if isinstance(value, str) else None
        if compared is not None:
            message = f"`{value}` is not a comparison: a claim is compared with this text"
            help = f"write `{asked.key}: {{{_BOUNDS[compared[1]]}: {compared[2]}}}`"
            self.templates.find("CH441", message, pointer, help)
            return None
        checked = self.templates.compile(value, pointer, self.scope)
        if checked is None:
            return None
        if not isinstance(checked.node, Literal):
            return _rendered(checked.render)
        constant = checked.node.value
        if asked.known is not None and self._excludes(asked, constant):
            self._note_never(constant, pointer, asked.key, asked.known)
        return lambda claim, scope, frame: _holds(claim, constant)

    def _note_never(self, value: Json, pointer: str, key: str, known: Claim) -> None:
        """CH441: a value that the claims schemas exclude."""
        names = [
            text
            for text in (*(known.values or ()), *(known.elements or ()))
            if isinstance(text, str)
        ]
        listed = ", ".join(f"`{name}`" for name in names[:5])
        otherwise = f"it may be {listed}" if listed else "correct it, or the `claims` schema"
        help = did_you_mean(value, names, otherwise) if isinstance(value, str) else otherwise
        message = f"the claim `{key}` can never be {_shown(value)}"
        self.templates.find("CH441", message, pointer, help)

    def _schema(self, schema: dict[str, Json], pointer: str, asked: _AskedClaim) -> _Accepts | None:
        if self._notes_unknown(schema, pointer, asked.key):
            return None
        validator = self.schemas.compile_at(pointer, with_type_spoken_of(schema))
        if validator is None:
            return None
        for text, where in leaves(schema, pointer):
            if isinstance(text, str) and _TEMPLATE.fullmatch(text):
                help = f"{entry(asked.key, text)}, without the schema around it, is replaced"
                self.templates.find(
                    "CH340", f"`{text}` in a schema is that text itself", where, help
                )
        values = asked.known.values if asked.known is not None else None
        is_excluded = values is not None and not any(map(validator.accepts, values))
        if is_excluded or self._leaves_nothing(asked, pointer):
            message = f"the claim `{asked.key}` can never satisfy this schema"
            help = "correct it, or the `claims` schema, which allows no such value"
            self.templates.find("CH441", message, pointer, help)
        return lambda claim, scope, frame: validator.accepts(claim)

    def _leaves_nothing(self, asked: _AskedClaim, pointer: str) -> bool:
        """Whether no claim that the authenticators accept satisfies the schema at `pointer`."""
        nodes = self._claims(asked)
        if not nodes:
            return False
        from channeld.schema.compare.emptiness import leaves_nothing  # noqa: PLC0415 - as below

        (wanted,) = self._parts(pointer)
        return all(
            leaves_nothing(attrs.evolve(node, parts=(*node.parts, wanted))) for node in nodes
        )

    def _excludes(self, asked: _AskedClaim, constant: Json) -> bool:
        """Whether no claim can equal a constant or contain it (as a word or an element)."""
        if asked.known is None:
            return False
        if not _can_hold(asked.known, constant):
            return True
        if isinstance(constant, str) or "array" in asked.known.types:
            return False
        nodes = self._claims(asked)
        return bool(nodes) and not any(node.accepts(constant) for node in nodes)

    def _claims(self, asked: _AskedClaim) -> "list[Node]":
        """What each authenticator's `claims` schema says about a claim; empty unless known for all."""
        identity = self.scope.identity
        if asked.known is None or identity is None or identity.is_unknown:
            return []
        # Eight modules that only configurations with such a schema need.
        from channeld.schema.compare.normalize import form_of  # noqa: PLC0415
        from channeld.schema.compare.schema_ref import Book, Node  # noqa: PLC0415

        book, nodes = Book(self.schemas), []
        for name in identity.names:
            node = Node(book, self._parts(at("/auth", name, "claims")))
            for step in asked.names:
                node = form_of(node).child(step)
            nodes.append(node)
        return nodes

    def _parts(self, pointer: str) -> "tuple[Part, ...]":
        root = self.schemas.root(pointer)
        found = self.schemas.at(root) if root is not None else None
        return (found,) if found is not None else ()

    def _notes_unknown(self, schema: Json, pointer: str, key: str) -> bool:
        """Report keywords that no draft knows, at any depth; returns whether there were any."""
        if not isinstance(schema, dict):
            return False
        unknown = [name for name in schema if name not in _KNOWN and not name.startswith("x-")]
        for name in unknown:
            self._note_unknown(name, schema[name], pointer, key)
        below = [
            self._notes_unknown(inner, at_, key) for at_, inner, _ in subschemas(schema, pointer)
        ]
        return bool(unknown) or any(below)

    def _note_unknown(self, name: str, value: Json, pointer: str, key: str) -> None:
        """CH440: a mapping that was meant as a path, or a misspelled keyword."""
        meant = nearest_keyword(name, value)
        keywords = _of_other_tools(name, value)
        if keywords:
            help = f"write {joined([entry(*one) for one in keywords.items()], 'and')}"
        elif name.strip("$").lower() in _ANY_OF:
            help = f"write {entry(key, value)}: one value of a list is enough"
        elif meant is not None:
            help = f"did you mean `{meant}`?"
        else:
            help = f"for the claim `{name}` inside of `{key}` write `{key}.{name}`"
        message = f"`{name}` is not a keyword of JSON Schema"
        self.templates.find("CH440", message, at(pointer, name), help, key=True)


def _of_other_tools(name: str, value: Json) -> dict[str, Json]:
    """The keywords for a check that other tools name differently; none if it is unknown."""
    word = name.strip("$").lower()
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if word in _COMPARED and is_number:
        return {_COMPARED[word]: value}
    if word in _PATTERN and isinstance(value, str):
        return {"pattern": value}
    if word in _ALL_OF and isinstance(value, list):
        # Without the type, a claim that is not a list would satisfy each `contains`.
        return {"type": "array", "allOf": [{"contains": {"const": one}} for one in value]}
    return {}


def with_type_spoken_of(schema: dict[str, Json]) -> dict[str, Json]:
    """Add the type that a schema's keywords imply: `minimum` alone would accept any string."""
    if "type" in schema:
        return schema
    types: list[Json] = [
        type_ for type_, words in _SPEAKS_OF.items() if any(word in schema for word in words)
    ]
    return {"type": types, **schema} if types else schema


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    return f"`{text[:40]}`"


def _can_hold(known: Claim, value: Json) -> bool:
    """Whether a claim of these types can equal a constant or contain it."""
    if known.values is not None:
        return any(_holds(one, value) for one in known.values)
    if type_of(value) in known.types:
        return True
    if "array" in known.types:
        return known.elements is None or _holds([*known.elements], value)
    return False


# ------------------------------------------------------------------------------------------------- at run time


def unmet(require: Require, scope: Scope, frame: Frame | None = None) -> str | None:
    """The first claim that does not meet a `require`, as written there (of the last alternative); None if it is met."""
    message = {} if frame is None else frame
    missing: str | None = None
    for requirements in require:
        missing = next((r.key for r in requirements if not _is_met(r, scope, message)), None)
        if missing is None:
            return None
    return missing


def _is_met(requirement: Requirement, scope: Scope, frame: Frame) -> bool:
    claim: CheckedJson = scope.claims
    for step in requirement.path:
        name = step if isinstance(step, str) else step(scope, frame)
        if not isinstance(name, str):
            name = MISSING if name is MISSING else text_of(name)
        if not isinstance(claim, dict) or name not in claim:
            return False
        claim = claim[name]
    return any(accepts(claim, scope, frame) for accepts in requirement.accepts)


def _rendered(template: Template) -> _Accepts:
    def accepts(claim: Json, scope: Scope, frame: Frame) -> bool:
        value = template(scope, frame)
        return value is not MISSING and _holds(claim, value)

    return accepts


def _holds(claim: Json, wanted: Json) -> bool:
    """Whether a claim equals a value, or contains it as a list element or as a word of a string."""
    if isinstance(wanted, str):
        # Called for every message, also for users with thousands of groups, so avoid a Python loop.
        if isinstance(claim, str):
            return claim == wanted or (wanted in claim and wanted in claim.split())
        return isinstance(claim, list) and wanted in claim
    if isinstance(claim, list):
        return any(_is_same(one, wanted) for one in claim)
    return _is_same(claim, wanted)


def _is_same(one: Json, other: Json) -> bool:
    # JSON equality: 1 equals 1.0, but neither true nor "1".
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    return type(one) is type(other) and identity(one) == identity(other)

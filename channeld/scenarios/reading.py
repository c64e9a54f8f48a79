"""Reads a scenario file's values: each mistake becomes a finding at its location and gives None.

A `Reader` knows the document and the report. Its methods return the value in the model's form, or None after a finding (or
for a missing optional value).
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, TypeVar

import attrs

from channeld.config.language import got, joined
from channeld.config.scalars import BadScalar, parse_duration
from channeld.config.tree import Tree
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Related, Report
from channeld.pointer import at, tokens
from channeld.protocol.frames import Json
from channeld.scenarios.matching import MATCHERS, TYPES
from channeld.scenarios.model import Pattern
from channeld.schema.compiled import compiled
from channeld.schema.vocabulary import SchemaError, schema_errors, subschemas
from channeld.suggest import closest, did_you_mean

T = TypeVar("T")
LONGEST_WAIT: Final = 366 * 86_400.0
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "assert": ("expect",),
    "await": ("expect",),
    "cases": ("scenarios",),
    "code": ("expect_close",),
    "disconnect": ("close",),
    "error": ("refused",),
    "message": ("event", "send"),
    "not": ("absent",),
    "receive": ("expect",),
    "recv": ("expect",),
    "status": ("refused",),
    "tests": ("scenarios",),
    "timeout": ("within",),
    "title": ("name",),
    "type": ("event",),
    "url": ("path",),
}
"""What other tools call a key → what it is called here."""


@attrs.define(eq=False)
class Reader:
    """One document being read. `captured` are the names that patterns have captured so far."""

    tree: Tree
    report: Report
    captured: set[str] = attrs.field(factory=set, init=False)

    def find(
        self, code: str, message: str, pointer: str, help: str = "", *, key: bool = False,
        related: tuple[Related, ...] = (),
    ) -> None:  # fmt: skip
        """Report a finding at a value, or at its key."""
        place = self.tree.key_place(pointer) if key else self.tree.place(pointer)
        self.report.add(diagnose(code, message, place, help=help, related=related))

    def wrong(self, value: Json, pointer: str, wants: str, help: str = "") -> None:
        """Report CH801: a value of the wrong type."""
        message = f"{named(pointer)} takes {wants}; got {got(value)}"
        self.find("CH801", message, pointer, help or _form(pointer))

    # ----------------------------------------------------------------------------------------------- containers

    def mapping(
        self, value: Json, pointer: str, legal: Collection[str], required: Iterable[str] = ()
    ) -> Mapping[str, Json] | None:
        """A mapping with only these keys and `x-…` (CH802), including the required ones (CH803)."""
        if not isinstance(value, dict):
            self.wrong(value, pointer, "a mapping")
            return None
        all_meant: set[str | None] = set()
        for key in value:
            if key not in legal and not key.startswith("x-"):
                meant = closest(key, [one for one in legal if one not in value], aliases=_ALIASES)
                all_meant.add(meant)
                allowed = joined([f"`{one}`" for one in legal])
                help = f"did you mean `{meant}`?" if meant else f"it takes {allowed}"
                message = f"unknown key `{key[:40]}` in {named(pointer)}"
                self.find("CH802", message, at(pointer, key), help, key=True)
        missing = [key for key in required if key not in value]
        for key in missing:
            if key in all_meant:
                continue
            message = f"{named(pointer)} has no `{key}`"
            self.find("CH803", message, pointer, f"add `{key}:`", key=True)
        return None if missing else value

    def at(
        self,
        written: Mapping[str, Json],
        pointer: str,
        key: str,
        read: Callable[[Json, str], T | None],
        otherwise: T,
    ) -> T:
        """Read a key of a mapping; `otherwise` if it is missing or after a finding."""
        found = read(written[key], at(pointer, key)) if key in written else None
        return otherwise if found is None else found

    def object(self, value: Json, pointer: str) -> Mapping[str, Json]:
        """A mapping with any keys; empty after a finding."""
        if isinstance(value, dict):
            return value
        self.wrong(value, pointer, "a mapping")
        return {}

    def named_values(self, value: Json, pointer: str) -> Mapping[str, Json]:
        """A mapping of user-chosen names, without `x-…`; empty after a finding."""
        named = self.object(value, pointer)
        return {key: one for key, one in named.items() if not key.startswith("x-")}

    def items(self, value: Json, pointer: str) -> list[tuple[Json, str]]:
        """The entries of a list, each with its pointer; empty after a finding."""
        if isinstance(value, list):
            return [(one, at(pointer, index)) for index, one in enumerate(value)]
        self.wrong(value, pointer, "a list")
        return []

    # -------------------------------------------------------------------------------------------------- scalars

    def text(self, value: Json, pointer: str) -> str | None:
        """A text."""
        if isinstance(value, str):
            return value
        help = "put it in quotes" if isinstance(value, bool | int | float) else ""
        self.wrong(value, pointer, "text", help)
        return None

    def flag(self, value: Json, pointer: str) -> bool:
        """`true` or `false`; false after a finding."""
        if not isinstance(value, bool):
            self.wrong(value, pointer, "`true` or `false`")
        return value is True

    def duration(self, value: Json, pointer: str) -> float:
        """Seconds, at most a year (CH806); 0 after a finding."""
        seconds = parse_duration(value)
        if isinstance(seconds, BadScalar):
            shown = f"`{value}`" if isinstance(value, str | int | float) else got(value)
            write = f"write {seconds.write}"
            self.find("CH806", f"{shown} {seconds.why}", pointer, write)
        elif 0 <= seconds <= LONGEST_WAIT:
            return seconds
        else:
            message = f"{named(pointer)} takes from 0s to 366d"
            self.find("CH806", message, pointer, "write a duration in that range")
        return 0.0

    def close_code(self, value: Json, pointer: str, wants: str = "a close code") -> int | None:
        """A close code from 1000 to 4999 (CH810)."""
        if type(value) is int and 1000 <= value <= 4999:
            return value
        help = "write a number such as `4401`"
        self.find("CH810", f"{named(pointer)} takes {wants}", pointer, help)
        return None

    # ------------------------------------------------------------------------------------------------- patterns

    def pattern(self, value: Json, pointer: str) -> Pattern:
        """A pattern for a frame (a mapping), its matchers checked (CH807, CH808)."""
        if not isinstance(value, dict):
            self.wrong(value, pointer, "a frame", "write a mapping such as `{type: ack}`")
        self._check_pattern(value, pointer)
        return Pattern(value=value, pointer=pointer)

    def value_pattern(self, value: Json, pointer: str) -> Pattern:
        """A pattern for any value."""
        self._check_pattern(value, pointer)
        return Pattern(value=value, pointer=pointer)

    def template(self, value: Json, pointer: str) -> Json:
        """A value to send; every `{$ref: NAME}` in it must name a captured value (CH808)."""
        if isinstance(value, dict):
            if value.keys() == {"$ref"}:
                self._check_ref(value["$ref"], at(pointer, "$ref"))
            else:
                for key, one in value.items():
                    self.template(one, at(pointer, key))
        elif isinstance(value, list):
            for index, one in enumerate(value):
                self.template(one, at(pointer, index))
        return value

    def _check_pattern(self, value: Json, pointer: str) -> None:
        if isinstance(value, list):
            for index, one in enumerate(value):
                self._check_pattern(one, at(pointer, index))
        elif isinstance(value, dict):
            for key, one in value.items():
                below = at(pointer, key)
                if not key.startswith("$"):
                    self._check_pattern(one, below)
                elif key in MATCHERS:
                    self._check_matcher(key, one, below)
                else:
                    known = joined([f"`{name}`" for name in MATCHERS])
                    help = did_you_mean(key, MATCHERS, f"there are {known}")
                    self.find("CH807", f"there is no matcher `{key[:40]}`", below, help, key=True)

    def _check_matcher(self, name: str, argument: Json, pointer: str) -> None:
        if name in ("$exact", "$len") and (name == "$exact" or isinstance(argument, dict)):
            self._check_pattern(argument, pointer)
        elif name == "$ref":
            self._check_ref(argument, pointer)
        elif name == "$capture" and isinstance(argument, str):
            self.captured.add(argument)
        else:
            wants = _matcher_wants(name, argument)
            if wants:
                self.find("CH807", f"`{name}` takes {wants}", pointer)

    def _check_ref(self, name: Json, pointer: str) -> None:
        if isinstance(name, str) and name in self.captured:
            return
        if not isinstance(name, str):
            self.find("CH807", "`$ref` takes the name of what was captured", pointer)
            return
        first = "capture it first, in an earlier step: `{$capture: " + name + "}`"
        help = did_you_mean(name, sorted(self.captured), first)
        self.find("CH808", f"nothing was captured as `{name[:40]}` before", pointer, help)


def _matcher_wants(name: str, argument: Json) -> str:
    """What a matcher takes if its argument is something else, else empty."""
    match name:
        case "$any" | "$absent":
            return "" if isinstance(argument, bool) else "`true`"
        case "$type":
            fits = isinstance(argument, str) and argument in TYPES
            return "" if fits else joined([f"`{one}`" for one in TYPES])
        case "$gt" | "$lt":
            fits = isinstance(argument, int | float | str) and not isinstance(argument, bool)
            return "" if fits else "a number or text"
        case "$len":
            fits = isinstance(argument, int) and not isinstance(argument, bool) and argument >= 0
            return "" if fits else "a length, or a matcher of one"
        case "$regex" | "$schema":
            return _regex_wants(argument) if name == "$regex" else _schema_wants(argument)
        case _:
            return "a name"


def _regex_wants(argument: Json) -> str:
    if not isinstance(argument, str):
        return "a regular expression"
    try:
        re.compile(argument)
    except re.error as error:
        return f"a regular expression ({error.msg} at character {error.pos})"
    return ""


def _schema_wants(argument: Json) -> str:
    if isinstance(argument, str):
        return "" if argument.startswith("#/schemas/") else "a JSON Schema, or `#/schemas/NAME`"
    if not isinstance(argument, dict | bool):
        return "a JSON Schema, or `#/schemas/NAME`"
    wrong = next(_errors_within(argument), None)
    if wrong is not None:
        return f"a JSON Schema ({wrong.message})"
    try:
        compiled({"schemas": {}, **argument} if isinstance(argument, dict) else argument)
    except (TypeError, ValueError) as error:
        # A reference into the configuration's schemas is looked up when the configuration is known.
        words = " ".join(str(error).split())
        return "" if "/schemas/" in words else f"a JSON Schema ({words[:80]})"
    return ""


def _errors_within(schema: Json) -> Iterator[SchemaError]:
    yield from schema_errors(schema, "")
    for _, below, _ in subschemas(schema):
        yield from _errors_within(below)


def _form(pointer: str) -> str:
    """Help for a value of another type; empty if the message is enough."""
    match tokens(pointer):
        case [] | ["scenarios"]:
            return (
                "write `scenarios:`, and under it `- name: …` with `clients:` and `steps:` for each"
            )
        case [*_, "clients"]:
            return "make each name a key: `clients: {ann: {path: /chat}}`"
        case [*_, "clients", name]:
            return f"write `{name[:40]}: {{path: /chat}}`"
        case [*_, "steps"]:
            return "write a list: `steps: [{ann: {send: {type: say}}}]`"
        case _:
            return ""


def named(pointer: str) -> str:
    """Describes what is at a pointer."""
    parts = tokens(pointer)
    last = next((part for part in reversed(parts) if not part.isdigit()), "")
    match parts:
        case []:
            return "the file"
        case [*_, "scenarios", _]:
            return "the scenario"
        case [*_, "clients", name]:
            return f"client `{name[:40]}`"
        case [*_, "steps", _]:
            return "the step"
        case _:
            return f"`{last[:40]}`"

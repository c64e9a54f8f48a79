"""Checks what was written against the language in one pass: each mistake gives one finding and removes its own subtree.

Valid parts are kept: a bad key is left out of its mapping, a mapping that lost a required key is left out itself, and so on
upwards, so that everything else is still checked. Messages are worded by `language.py`. Notations and short forms
(`x-kind`) are passed in as two tables: `notations` replace the check of a scalar, `normalizers` convert a checked value to
the model's form.
"""

import enum
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

import attrs

from channeld.config.aliases import ALIASES, NESTED, NOTES, WORDS
from channeld.config.language import (
    Rule,
    got,
    has_key,
    homes_of,
    joined,
    kinds_with,
    last_key,
    names_place,
    wanted,
)
from channeld.config.letters import boolean_help, resolve
from channeld.config.meant import MEANT, OFF_WORDS, entry
from channeld.config.redact import without_password
from channeld.config.writing import short
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Place, Report
from channeld.pointer import at, tokens
from channeld.protocol.frames import Json
from channeld.suggest import closest, folded


class _Invalid(enum.Enum):
    INVALID = "INVALID"


INVALID: Final = _Invalid.INVALID
"""In place of a value that is left out; why was reported, or is not known here."""

Notation: TypeAlias = "Callable[[Checker, Json, Rule, str], object]"
"""`(checker, written, rule, pointer)` → the value, or INVALID after a finding."""

Normalizer: TypeAlias = "Callable[[Checker, object, str], object]"
"""`(checker, checked value, pointer)` → what the model takes, or INVALID after a finding."""

_SECRET_KEYS: Final = frozenset({"secret", "token", "tokens", "keys", "url", "public_key"})
_TYPE_OF: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def shown(text: str) -> str:
    """A value of the file for a message: on one line, truncated if long."""
    flat = " ".join(text.split())
    return f"`{flat[:40]}…`" if len(flat) > 40 else f"`{flat}`"


def _fits(value: Json, rule: Rule) -> bool:
    return type(value) in _TYPE_OF[rule["type"]]


def _is_template(value: Mapping[str, Json]) -> bool:
    """Whether a mapping is an unquoted `{name}`."""
    return len(value) == 1 and None in value.values()


def _fits_items(value: Json, rule: Rule) -> bool:
    """Whether a value could be an item of a list."""
    branches = rule["items"].get("anyOf", [rule["items"]])
    return any("type" not in branch or _fits(value, branch) for branch in branches)


def _misspelt(tag: str, value: Mapping[str, Json], branches: Sequence[Rule]) -> str | None:
    """A misspelled key that was probably meant as the tag."""
    known = {key for branch in branches for key in branch["properties"]}
    unknown = [key for key in value if key not in known and isinstance(value[key], str)]
    return next((key for key in unknown if closest(key, [tag]) == tag), None)


def _told_by_keys(value: Mapping[str, Json], branches: Sequence[Rule]) -> Rule | None:
    """The only one of several mappings that has one of the value's keys."""
    for branch in branches:
        others = {key for other in branches if other is not branch for key in other["properties"]}
        if any(key in branch["properties"] and key not in others for key in value):
            return branch
    return None


def is_off(value: Json, rule: Rule) -> bool:
    """Whether a value was meant to switch off what is off by default."""
    is_word = isinstance(value, str) and value.lower() in OFF_WORDS
    defaults = [branch.get("default") for branch in (rule, *rule.get("anyOf", ()))]
    return (value is False or is_word) and not any(defaults) and rule.get("type") != "integer"


def _example(value: Json, rule: Rule, key: str) -> str:
    """Help that shows what a key takes; a mapping, if possible, when more than a word was written."""
    if "examples" not in rule:
        known = [f"`{name}`" for name in rule.get("properties", ())]
        usual = f", such as `{rule['default']}`" if type(rule.get("default")) is int else ""
        return (
            f"write its keys, {joined(known, 'and')}" if known else f"write {wanted(rule)}{usual}"
        )
    examples: list[Json] = rule["examples"]
    is_more = isinstance(value, dict | list | bool)
    example = next((one for one in examples if is_more and isinstance(one, dict)), examples[0])
    shown = f"`{short(example)}`" if key.isdecimal() else entry(key, example)
    return f"write, for example, {shown}"


def _form_of_key(key: str, rule: Rule, meant: str | None) -> str:
    """Help for a key whose form shows what went wrong; empty if it is simply unknown."""
    if key != key.strip():
        return f"remove the character before it, which only looks like a space, and write `{meant or key.strip()}`"
    if key.startswith("-"):
        return f"write `- {key[1:]}` for an entry of a list"
    if "." in key and has_key(rule, *key.split(".")):
        return f"write `{': {'.join(key.split('.'))}: …{'}' * key.count('.')}`"
    if key.startswith("${"):
        return "write the key itself: variables stand for values"
    return f"put a space after the `:` of `{key.partition(':')[0]}`" if ":" in key else ""


class NamedFiles(Protocol):
    """The files that values name (`{file: PATH}`), by paths already resolved against the configuration."""

    def text(self, checker: "Checker", path: str, pointer: str, *, may_be_absent: bool) -> object:
        """A file's content, or INVALID after a finding. A file that may be absent is only a warning when validating."""

    def tokens(self, checker: "Checker", path: str, pointer: str) -> object:
        """The checked entries of a file of tokens, or INVALID after findings."""


@attrs.define(eq=False, kw_only=True)
class Checker:
    """Checks one document. `place(pointer, key)` locates values; values at `silent` pointers are unknown.

    `authenticators` are the names that the file defines. `refused` collects the pointers of what is left out, so that later checks don't report it as missing. `is_hidden`:
    whether a value came from the environment or another file, so that it is neither quoted nor called inline.
    """

    place: Callable[[str, bool], Place]
    report: Report
    files: NamedFiles
    notations: Mapping[str, Notation]
    normalizers: Mapping[str, Normalizer]
    silent: frozenset[str] = frozenset()
    refused: set[str] = attrs.field(factory=set)
    needed: set[str] = attrs.field(factory=set)
    is_hidden: Callable[[str], bool] = lambda pointer: False
    authenticators: Collection[str] = ()

    def find(
        self, code: str, message: str, pointer: str, help: str = "", key: bool = False
    ) -> None:
        """Report a finding at a value, or at its key."""
        self.report.add(diagnose(code, message, self.place(pointer, key), help=help))

    def refuse(self, code: str, value: Json, words: str, pointer: str, help: str) -> object:
        """Report an invalid scalar."""
        self.find(code, f"{self.quote(value, pointer)} {words}", pointer, help)
        return INVALID

    def quote(self, value: Json, pointer: str) -> str:
        """A scalar for a message, unless it is or may be a secret."""
        if self.is_secret(pointer):
            return f"the value of {names_place(pointer)}"
        if isinstance(value, bool):
            return "`true`" if value else "`false`"
        text = shown(without_password(str(value)))
        return text if isinstance(value, str | int | float) else got(value)

    def check(self, value: Json, rule: Rule, pointer: str) -> object:
        """The value in the model's form, or INVALID."""
        clean = INVALID if pointer in self.silent else self._checked(value, rule, pointer)
        if clean is INVALID:
            self.refused.add(pointer)
        return clean

    def _checked(self, value: Json, rule: Rule, pointer: str) -> object:
        if "x-meant" in rule:
            meant = MEANT[rule["x-meant"]](value, last_key(pointer))
            if meant is not None:
                message = f"{names_place(pointer)} {meant.message}"
                self.find(meant.code, message, pointer, meant.help, meant.is_key)
                value = meant.value
                if value is None:
                    return INVALID
        kind = rule.get("x-kind", "")
        if value is None and ("type" in rule or "anyOf" in rule):
            return self._empty(rule, pointer)
        if kind == "json":
            return self._json(value, rule, pointer)
        if kind in self.notations:
            return self.notations[kind](self, value, rule, pointer)
        clean = self.check_form(value, rule, pointer)
        if clean is INVALID or kind not in self.normalizers:
            return clean
        return self.normalizers[kind](self, clean, pointer)

    def check_form(self, value: Json, rule: Rule, pointer: str) -> object:
        """Check a value's form: its parts are in the model's form, its own notation or short form is not applied."""
        if "anyOf" in rule:
            branch = self._branch(value, rule, pointer)
            return INVALID if branch is None else self.check(value, branch, pointer)
        if "type" in rule and not _fits(value, rule):
            # In a flow mapping a reference needs quotes; they don't make its value a string.
            meant = resolve(value) if isinstance(value, str) and self.is_hidden(pointer) else None
            if not _fits(meant, rule):
                return self.wrong_type(value, rule, pointer)
            value = meant
        if isinstance(value, dict):
            return self._mapping(value, rule, pointer)
        if isinstance(value, list):
            return self._list(value, rule, pointer)
        return self._scalar(value, rule, pointer)

    def wrong_type(self, value: Json, rule: Rule, pointer: str) -> object:
        """Report CH105, with what to write if that is known."""
        help = boolean_help(value)
        types = {branch.get("type") for branch in rule.get("anyOf", [rule])}
        what = got(value)
        if help and "boolean" in types:
            if not self.is_secret(pointer):
                what = f"the string {self.quote(value, pointer)}"
        elif is_off(value, rule):
            help = f"remove it, or {_example(value, rule, last_key(pointer))}"
        else:
            help = self._instead(value, rule, types, pointer)
        message = f"{names_place(pointer)} takes {wanted(rule)}; got {what}"
        self.find("CH105", message, pointer, help)
        return INVALID

    def _instead(self, value: Json, rule: Rule, types: set[str | None], pointer: str) -> str:
        """What to write instead of a value of another type."""
        key = last_key(pointer)
        if isinstance(value, str) and "integer" in types and re.fullmatch("[0-9]+[kK]?", value):
            number = value.lower().replace("k", "000")
            return "remove the quotes" if value.isdecimal() else f"write `{number}`"
        if isinstance(value, float) and types == {"integer"} and value.is_integer():
            return f"write `{value:.0f}`"
        if "string" in types and type(value) in {int, float}:
            return "put it in quotes"
        if "string" in types and isinstance(value, dict) and _is_template(value):
            return f"put it in quotes: {entry(key, '{' + ', '.join(value) + '}')}"
        if types == {"array"} and _fits_items(value, rule):
            is_hidden = self.is_secret(pointer)
            return f"write a list: {'put it in `[ ]`' if is_hidden else entry(key, [value])}"
        return _example(value, rule, key)

    def is_secret(self, pointer: str) -> bool:
        """Whether the value at a pointer may be a secret or came from outside of the file."""
        return self.is_hidden(pointer) or not _SECRET_KEYS.isdisjoint(tokens(pointer))

    def out_of_range(self, value: Json, pointer: str, least: str, most: str) -> object:
        """Report CH601."""
        if least and most:
            wanted = f"takes from {least} to {most}"
        else:
            wanted = f"must be at {f'least {least}' if least else f'most {most}'}"
        given = "another value" if self.is_secret(pointer) else self.quote(value, pointer)
        message = f"{names_place(pointer)} {wanted}; got {given}"
        self.find("CH601", message, pointer, "write a value in that range")
        return INVALID

    def _json(self, value: Json, rule: Rule, pointer: str) -> object:
        branches = rule.get("anyOf", [rule])
        if any("type" not in branch or _fits(value, branch) for branch in branches):
            return value
        return self.wrong_type(value, rule, pointer)

    def _empty(self, rule: Rule, pointer: str) -> object:
        value = "a value"
        if "examples" in rule:
            value += f" such as {entry(last_key(pointer), rule['examples'][0])}"
        help = f"indent what belongs under it, or add {value}"
        if pointer not in self.needed:
            help = f"indent what belongs under it, add {value}, or remove it"
        self.find("CH110", f"{names_place(pointer)} is empty", pointer, help, key=True)
        return INVALID

    def _branch(self, value: Json, rule: Rule, pointer: str) -> Rule | None:
        branches: list[Rule] = [b for b in rule["anyOf"] if _fits(value, b)]
        if not branches and not isinstance(value, list | dict):
            # A notation says more precisely than a type what is missing: `bind: 4000` lacks a host.
            branches = [b for b in rule["anyOf"] if b.get("x-kind") in self.notations]
        tag = rule.get("x-tag")
        if tag is not None and isinstance(value, dict):
            return self._tagged(value, branches, tag, pointer)
        if not branches:
            self.wrong_type(value, rule, pointer)
            return None
        if isinstance(value, dict):
            # Of several mappings, take the one that knows most of the keys.
            return max(
                branches, key=lambda branch: len(branch.get("properties", {}).keys() & value)
            )
        words = branches[0].get("enum")
        if words is not None and value not in words:
            others = [wanted(branch) for branch in rule["anyOf"] if "enum" not in branch]
            self._not_one_of(value, words, pointer, others)
            return None
        return branches[0]

    def _tagged(
        self, value: dict[str, Json], branches: list[Rule], tag: str, pointer: str
    ) -> Rule | None:
        by_tag = {str(branch["properties"][tag]["const"]): branch for branch in branches}
        below = at(pointer, tag)
        if tag not in value:
            misspelt = _misspelt(tag, value, branches)
            if misspelt is not None and value[misspelt] in by_tag:
                # Check the rest as what was meant; the key is then reported as unknown.
                return by_tag[str(value[misspelt])]
            told = _told_by_keys(value, branches)
            if told is not None:
                return told
            help = f"add `{tag}:` {joined([f'`{name}`' for name in by_tag])}"
            self.find("CH104", f"{names_place(pointer)} has no `{tag}`", pointer, help, key=True)
        elif below in self.silent:
            pass
        elif value[tag] is None:
            self._empty({}, below)
        elif isinstance(value[tag], str) and value[tag] in by_tag:
            return by_tag[str(value[tag])]
        else:
            self._not_one_of(value[tag], list(by_tag), below)
        return None

    def _not_one_of(
        self, value: Json, legal: list[str], pointer: str, others: Sequence[str] = ()
    ) -> object:
        quoted = joined([*(f"`{name}`" for name in legal), *others])
        meant = closest(value, legal, aliases=WORDS) if isinstance(value, str) else None
        help = f"did you mean `{meant}`? It takes {quoted}" if meant else f"write {quoted}"
        where = "it" if self.is_secret(pointer) else names_place(pointer)
        words = f"is not a valid value for {where}"
        return self.refuse("CH106", value, words, pointer, help)

    def _mapping(self, value: dict[str, Json], rule: Rule, pointer: str) -> object:
        clean: dict[str, object] = {}
        chosen = [one["required"][0] for one in rule.get("oneOf", ())]
        required = [*rule.get("required", ()), *chosen]
        self.needed.update(at(pointer, key) for key in rule.get("required", ()))
        written = [k for k in value if not (k.startswith("x-") and "patternProperties" in rule)]
        whole = True
        meant: set[str | None] = set()
        for key in written:
            below = at(pointer, key)
            child_rule = self._rule_of(key, written, rule, pointer, meant)
            is_named = self._is_named(key, rule, below)
            if child_rule is None or (key.startswith("/") and not is_named):
                # A path in place of the name: the rest would be reported only for its missing path.
                result: object = INVALID
            else:
                result = self.check(value[key], child_rule, below)
            if result is INVALID or not is_named:
                whole = whole and key not in required
            else:
                clean[key] = result
        missing = [key for key in rule.get("required", ()) if key not in value]
        if chosen:
            missing += self._one_of(chosen, value, pointer)
        for key in missing:
            # One mistake: the key exists, misspelled.
            if key not in meant:
                self._missing(key, rule, pointer)
        if len(written) < rule.get("minProperties", 0):
            self._too_few(pointer)
            whole = False
        return clean if (whole and not missing) or not pointer else INVALID

    def _rule_of(
        self, key: str, written: list[str], rule: Rule, pointer: str, meant: set[str | None]
    ) -> Rule | None:
        properties: Mapping[str, Rule] = rule.get("properties", {})
        if key in properties:
            return properties[key]
        more = rule.get("additionalProperties", {})
        if isinstance(more, dict):
            return more
        self.refused.add(at(pointer, key))
        meant.add(self._unknown(key, rule, [k for k in properties if k not in written], pointer))
        return None

    def _unknown(self, key: str, rule: Rule, legal: list[str], pointer: str) -> str | None:
        """Report CH103; returns the key that was probably meant."""
        below = at(pointer, key)
        where = "at the top level" if not pointer else f"in {names_place(pointer)}"
        named = "key" if not _SECRET_KEYS.isdisjoint(tokens(pointer)) else f"key {shown(key)}"
        homes = homes_of(key, pointer)
        nested = NESTED.get(folded(key))
        meant = closest(key, legal, aliases=ALIASES, cutoff=0.85 if homes or nested else 0.6)
        note = next((note for note in NOTES.get(folded(key), ()) if note.fits(pointer)), None)
        help = "remove it, or write `x-` before its name"
        kinds = kinds_with(key, pointer)
        if note is not None:
            meant, help = None, note.help
        elif kinds:
            meant, help = None, f"remove it: `{key}` is for `type: {joined(kinds)}`"
        elif written_otherwise := _form_of_key(key, rule, meant):
            help = written_otherwise
        elif meant:
            help = f"did you mean `{meant}`?"
        elif nested is not None and has_key(rule, *nested):
            help = f"did you mean `{nested[0]}: {{{nested[1]}: …}}`?"
        elif homes:
            help = f"`{homes[0][0]}` belongs {joined([home for _, home in homes])}"
        self.find("CH103", f"unknown {named} {where}", below, help, key=True)
        return meant

    def _is_named(self, key: str, rule: Rule, pointer: str) -> bool:
        names = rule.get("propertyNames")
        if names is None or (re.search(names["pattern"], key) and not key.endswith("\n")):
            return True
        message = f"{shown(key)} cannot be a name here"
        help = f"a name is {names['x-wants']}"
        if pointer.startswith("/channels/") and key.startswith("/"):
            name = re.sub(r"\{.*?\}|[^a-z0-9]+", " ", key.lower()).split()
            help = f"name the channel: `{name[0] if name else 'room'}: {{path: {short(key)}, …}}`"
        elif pointer.count("/") == 2 and re.search("[:*]", key):
            name = re.sub(r"[^a-z0-9]+", " ", key.lower()).split()
            help += f": call it `{name[0] if name else 'room'}`, and declare its `rooms`"
        self.find("CH118", message, pointer, help, key=True)
        return False

    def _one_of(self, keys: list[str], value: dict[str, Json], pointer: str) -> list[str]:
        """The missing key if none of these exists; more than one is reported."""
        given = [key for key in keys if key in value]
        if len(given) > 1:
            message = f"{names_place(pointer)} has both `{given[0]}` and `{given[1]}`"
            below = at(pointer, given[1])
            self.find("CH706", message, below, "keep one of them", key=True)
        return [] if given else keys[:1]

    def _missing(self, key: str, rule: Rule, pointer: str) -> None:
        if not pointer and key == "channeld":
            return  # reported as CH101 by `structure`
        held = rule.get("properties", {}).get(key, {})
        help = f"add `{key}:`"
        if key == "auth":
            help = self._who_is_let_in()
        elif "const" in held or "examples" in held:
            help = f"add {entry(key, held['const'] if 'const' in held else held['examples'][0])}"
        elif "enum" in held:
            help = f"add `{key}:` {wanted(held)}"
        message = f"{names_place(pointer)} has no `{key}`"
        self.find(rule.get("x-missing", "CH104"), message, pointer, help, key=True)

    def _who_is_let_in(self) -> str:
        """What to write for `auth`; `none` is suggested only if the file defines no authenticator."""
        if self.authenticators:
            return f"add {joined([f'`auth: {name}`' for name in self.authenticators])}"
        return "add `auth:` with the name of an authenticator, or `auth: none` to let everyone in"

    def _too_few(self, pointer: str) -> object:
        message = f"{names_place(pointer)} is empty"
        or_none = "" if pointer in self.needed else ", or remove it"
        self.find("CH121", message, pointer, f"add at least one entry{or_none}")
        return INVALID

    def _list(self, value: list[Json], rule: Rule, pointer: str) -> object:
        if len(value) < rule.get("minItems", 0):
            return self._too_few(pointer)
        checked = [
            self.check(one, rule["items"], at(pointer, index)) for index, one in enumerate(value)
        ]
        return [one for one in checked if one is not INVALID]

    def _scalar(self, value: Json, rule: Rule, pointer: str) -> object:
        if "enum" in rule and value not in rule["enum"]:
            return self._not_one_of(value, rule["enum"], pointer)
        if isinstance(value, str):
            return self._text(value, rule, pointer)
        if isinstance(value, int) and not isinstance(value, bool):
            least, most = rule.get("minimum", value), rule.get("maximum", value)
            if not least <= value <= most:
                ends = (f"{rule[k]}" if k in rule else "" for k in ("minimum", "maximum"))
                return self.out_of_range(value, pointer, *ends)
        return value

    def _text(self, value: str, rule: Rule, pointer: str) -> object:
        least, most = rule.get("minLength", 0), rule.get("maxLength")
        if len(value) < least or (most is not None and len(value) > most):
            ends = f"{least} to {most}" if most is not None else f"{least} or more"
            message = f"{names_place(pointer)} takes {ends} characters"
            self.find("CH120", message, pointer, f"write {ends} characters")
            return INVALID
        if "pattern" in rule and (not re.search(rule["pattern"], value) or value.endswith("\n")):
            wants = rule["x-wants"]
            return self.refuse("CH120", value, f"is not {wants}", pointer, f"write {wants}")
        return value

"""`${NAME}` and `${NAME:-default}` in the values of some sections, replaced from the environment."""

import math
import re
from collections.abc import Mapping

import attrs

from channeld.config.letters import resolve
from channeld.config.tree import ScalarNode, Tree
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Report, Severity
from channeld.protocol.frames import Json

SECTIONS = frozenset({"server", "auth", "broker", "api", "log", "webhooks", "backends"})

# Secrets, tokens and keys are strings, even if they are all digits.
_TEXTS = ("/auth/", "/api/keys", "/webhooks/")

_REFERENCE = re.compile(r"\$\$|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")
_OF_ACTIONS = re.compile(r"\$\{\{\s*(?:[a-z]+\.)*([A-Z_][A-Z0-9_]*)\s*\}\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# `$NAME`, as a shell writes it. Capitals only: `$` also ends patterns.
_UNBRACED = re.compile(
    r"(?<!\$)\$([A-Z_][A-Z0-9_]+)"
    r"|(?<!\$)\$\(([A-Z_][A-Z0-9_]+)\)|(?<!\$)\{\{\s*(?:env\.)?([A-Z_][A-Z0-9_]+)\s*\}\}|%([A-Z_][A-Z0-9_]+)%"
)
# Texts for people, schemas, and templates (whose own checks report a `{NAME}`).
_FREE_TEXTS = re.compile(
    r"/(?:x-[^/]*|description|schemas?|examples|params|query|state|info|emit|stamp|require|rooms|route|key|note|auth/[a-z][^/]*)(?:/|$)"
)
_HOLD_SECRETS = frozenset({"auth", "api", "broker", "webhooks", "backends"})
_SECRET = re.compile(r"/(?:secret|token|tokens|keys)(?:/[0-9]+)?(?:/token)?$")


@attrs.define(eq=False, kw_only=True)
class Environment:
    """Replaces references, and records by pointer which values came from them and which have no value.

    Messages never show a variable's value.
    """

    variables: Mapping[str, str] = attrs.field(repr=False)
    report: Report
    missing_is_error: bool
    used: set[str] = attrs.field(factory=set)
    unset: set[str] = attrs.field(factory=set)

    def value(self, tree: Tree, node: ScalarNode, pointer: str) -> Json:
        """A scalar's value with references replaced; unchanged if a reference has no value."""
        raw = node.raw
        if not isinstance(node.value, str) or "$" not in raw:
            return node.value
        if "/claims" not in pointer:
            self._check_unbraced(raw, tree, pointer)
        parts: list[str] = []
        last = 0
        for match in _REFERENCE.finditer(raw):
            text = "$" if match[0] == "$$" else self._replacement(match, tree, pointer)
            parts += (raw[last : match.start()], text)
            last = match.end()
        text = "".join((*parts, raw[last:]))
        if pointer in self.unset:
            return raw
        if pointer in self.used and node.style == "plain" and not _is_text(pointer):
            return _finite(text)
        return text

    def refuse(self, tree: Tree, node: ScalarNode, pointer: str) -> Json:
        """A scalar of a section without replacement; CH112 for a reference, which would be taken literally."""
        raw = node.raw
        found = _REFERENCE.search(raw) if isinstance(node.value, str) and "${" in raw else None
        if found and found[1] and found[1].isupper() and not _FREE_TEXTS.search(pointer):
            place = tree.span(pointer, found.start(), len(found[0]))
            message = f"`{found[0]}` is not replaced here"
            listed = ", ".join(f"`{section}`" for section in sorted(SECTIONS))
            help = f"write the value itself: variables are for values under {listed}"
            self.report.add(diagnose("CH112", message, place, help=help))
            self.unset.add(pointer)
        return node.value

    def _check_unbraced(self, raw: str, tree: Tree, pointer: str) -> None:
        """CH125 for a `$NAME`: an error for a secret, since the literal text would be the secret."""
        for match in _UNBRACED.finditer(raw):
            place = tree.span(pointer, match.start(), len(match[0]))
            name = match[1] or match[2] or match[3] or match[4]
            message = f"`{match[0]}` is not replaced by the variable"
            help = f"write `${{{name}}}`"
            if match[1]:
                message = f"`{match[0]}` is not replaced, because it has no braces"
                help += f"; `$${name}` is literal text"
            finding = diagnose("CH125", message, place, help=help)
            if _is_secret(pointer):
                finding = attrs.evolve(finding, severity=Severity.ERROR)
                self.unset.add(pointer)
            self.report.add(finding)

    def _replacement(self, match: re.Match[str], tree: Tree, pointer: str) -> str:
        """The value of one reference; empty, with a finding, if unknown."""
        name, default = match[1], match[2]
        if name is None or (default is not None and "${" in default):
            self._malformed(match, tree, pointer)
        else:
            found = self.variables.get(name)
            if default is not None and not found:
                found = default.replace("$$", "$")
            if found is not None:
                self.used.add(pointer)
                return found
            self._missing(match, tree, pointer)
        self.unset.add(pointer)
        return ""

    def _malformed(self, match: re.Match[str], tree: Tree, pointer: str) -> None:
        rest = match.string[match.end() :]
        name = _NAME.match(rest)
        if match[1] is not None:
            message = f"the default of `${{{match[1]}}}` contains another reference"
        elif "}" not in rest:
            # Do not quote the rest: it may be a secret that looks like a name.
            message = "`${` is not closed"
        elif name is None:
            message = "`${` is not followed by a name"
        else:
            message = "a name after `${` is followed by neither `}` nor `:-`"
        end = match.end()
        if match[1] is None:
            end += rest.find("}") + 1 or len(name[0] if name else "")
        place = tree.span(pointer, match.start(), end - match.start())
        named = _OF_ACTIONS.match(match.string, match.start())
        help = "write `${NAME}` or `${NAME:-default}`; `$$` is a literal `$`"
        if named is not None:
            message = f"`{named[0]}` is GitHub Actions syntax, and is not replaced here"
            help = f"write `${{{named[1]}}}`"
        self.report.add(diagnose("CH112", message, place, help=help))

    def _missing(self, match: re.Match[str], tree: Tree, pointer: str) -> None:
        place = tree.span(pointer, match.start(), match.end() - match.start())
        message = f"`{match[0]}` is not set here and has no default"
        help = f"set {match[1]}"
        if not _is_secret(pointer):
            help += f", or write `${{{match[1]}:-default}}`"
        finding = diagnose("CH113", message, place, help=help)
        if self.missing_is_error:
            finding = attrs.evolve(finding, severity=Severity.ERROR)
        self.report.add(finding)


def _is_text(pointer: str) -> bool:
    return pointer.startswith(_TEXTS) or _is_secret(pointer)


def _is_secret(pointer: str) -> bool:
    """Whether a secret, key or token is expected here, or a URL that may contain a password."""
    section, _, rest = pointer[1:].partition("/")
    return section in _HOLD_SECRETS and _SECRET.search(f"/{rest}") is not None


def _finite(text: str) -> Json:
    """A plain scalar's value; infinities and NaN, which no setting accepts, stay strings."""
    value = resolve(text)
    return text if isinstance(value, float) and not math.isfinite(value) else value

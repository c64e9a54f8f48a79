"""Masks secrets in the text of a configuration with stars, so that no code frame shows one."""

import re
from collections.abc import Iterable, Iterator

import attrs

from channeld.config.language import elsewhere
from channeld.config.tree import ListNode, Node, ScalarNode, Tree
from channeld.pointer import tokens
from channeld.suggest import closest

# The sections that may contain secrets, and the keys that hold them; other legal keys there are not secret.
_SECTIONS = frozenset({"auth", "api", "backends", "webhooks", "broker"})
_SECRET = frozenset({"secret", "token", "tokens", "keys"})
_NOWHERE = "-"
_ALMOST = (*sorted(_SECRET), "key", "password", "passwords")
_REFERENCE = re.compile(r"(\$\{[A-Za-z_][A-Za-z0-9_]*(?::-(?=[^}]*\}))?)([^}]*)(\})")
_LONG = 16
_NOT_SPACE = re.compile(r"\S")
_IN_URL = re.compile(r"(?<=://)[^\s/@]+(?=@)")
_IN_QUERY = re.compile(
    r"(?i)(?<=[?&])([\w.-]*(?:token|key|secret|sig|signature|password)=)([^\s&\"'#`]+)"
)
# For a file that can't be parsed: whatever follows such a key, on its line or as a list below it.
_LOOKS_SECRET = re.compile(
    r"(?i)\b(?:secret|secrets|token|tokens|keys|password)[\"']?[ \t]*:"
    r"(?:[ \t]*(?:#[^\r\n]*)?\r?\n(?:[ \t]*-[ \t][^\r\n]*(?:\r?\n|$))+|[^\r\n]*)"
)


def redacted(text: str, tree: Tree | None, hidden: Iterable[str] = ()) -> str:
    """The text with each character of a secret replaced by `*`, keeping lines and columns. `${NAME}` is not a secret.

    `hidden` are pointers of other values to mask.
    """
    text = without_password(text)
    if tree is None:
        return _LOOKS_SECRET.sub(_guess, text)
    secrets = list(_secrets(tree))
    parts: list[str] = []
    last = 0
    others = [tree.node(pointer) for pointer in hidden]
    for start, end in sorted({(one.start, one.end) for one in [*secrets, *others]}):
        if start < last:
            continue  # it is part of one that is already masked
        parts += (text[last:start], _stars(text[start:end]))
        last = end
    shown = "".join((*parts, text[last:]))
    # Also mask the secret at its anchor; a short one could be any word of the file.
    for raw in {secret.raw for secret in secrets}:
        if len(raw) >= _LONG and not _REFERENCE.search(raw):
            shown = shown.replace(raw, "*" * len(raw))
    return shown


def without_password(text: str) -> str:
    """A text with the user and password of each URL in it, and parameters such as `?token=…`, as stars."""
    text = _IN_URL.sub(lambda match: _stars(match[0]), text)
    return _IN_QUERY.sub(lambda match: match[1] + _stars(match[2]), text)


def _guess(match: re.Match[str]) -> str:
    key, colon, rest = match[0].partition(":")
    return key + colon + _stars(rest)


def _stars(secret: str) -> str:
    """Mask everything except white space, surrounding quotes and variable names; punctuation is masked as well."""
    if len(secret) > 1 and secret[0] == secret[-1] and secret[0] in "\"'":
        return f"{secret[0]}{_stars(secret[1:-1])}{secret[-1]}"
    parts: list[str] = []
    last = 0
    for match in _REFERENCE.finditer(secret):
        parts += (_masked(secret[last : match.start()]), match[1], _masked(match[2]), match[3])
        last = match.end()
    return "".join((*parts, _masked(secret[last:])))


def _masked(text: str) -> str:
    return _NOT_SPACE.sub("*", text)


def _secrets(tree: Tree) -> Iterator[ScalarNode]:
    """The scalars that are secrets, even under misspelled or duplicate keys."""
    # Only a file of tokens is a list.
    start = (
        _Position("auth.NAME.tokens", True)
        if isinstance(tree.root, ListNode)
        else _Position("", False)
    )
    yield from _below(tree.root, start)
    for pointer, node in tree.dropped:
        position = start
        for key in tokens(pointer):
            position = position.enter(key)
        yield from _below(node, position)


@attrs.frozen(slots=True)
class _Position:
    """A place in the language (`auth.NAME`), and whether a scalar there is a secret."""

    where: str
    is_secret: bool

    def enter(self, key: str) -> "_Position":
        """The position of a key's value."""
        if not self.where:
            return _Position(key if key in _SECTIONS else _NOWHERE, False)
        if self.where == _NOWHERE:
            return self
        if self.where in ("auth", "backends"):
            return _Position(f"{self.where}.NAME", False)
        is_legal = self.where in elsewhere(key)
        if is_legal:
            is_secret = key in _SECRET or (self.is_secret and key not in ("file", "user", "claims"))
        else:
            is_secret = self.is_secret or closest(key, _ALMOST) is not None
        return _Position(f"{self.where}.{key}" if is_legal else self.where, is_secret)


def _below(node: Node, position: _Position) -> Iterator[ScalarNode]:
    if position.where == _NOWHERE:
        return
    if isinstance(node, ScalarNode):
        if position.is_secret:
            yield node
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from _below(item, position)
    else:
        for key, entry in node.entries.items():
            yield from _below(entry.node, position.enter(key))

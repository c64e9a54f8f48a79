"""Which texts of a configuration are secrets, covered with stars so that no code frame shows one."""

import re
from collections.abc import Iterator

from channeld.config.tree import ListNode, MapNode, Node, ScalarNode, Tree

__all__ = ["covered"]

# Where secrets stand; `*` is any key, `-` any item of a list.
_PATTERNS = (
    ("auth", "*", "secret"),
    ("auth", "*", "secret", "-"),
    ("auth", "*", "tokens", "-", "token"),
    ("api", "keys"),
    ("api", "keys", "-"),
    ("webhooks", "-", "secret"),
    ("webhooks", "-", "secret", "-"),
)
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::-)?")
_LONG = 16
_IN_URL = re.compile(r"(?<=://)[^\s/@]+(?=@)")
# For a file without a tree: whatever follows such a key, on its line or as a list under it.
_LOOKS_SECRET = re.compile(
    r"(?i)\b(?:secret|secrets|token|tokens|keys|password)[\"']?[ \t]*:"
    r"(?:[ \t]*(?:#[^\r\n]*)?\r?\n(?:[ \t]*-[ \t][^\r\n]*(?:\r?\n|$))+|[^\r\n]*)"
)


def covered(text: str, tree: Tree | None) -> str:
    """The text with each character of a secret a `*`: same lines, same columns. `${NAME}` is no secret."""
    text = _IN_URL.sub(lambda match: _stars(match[0]), text)
    if tree is None:
        return _LOOKS_SECRET.sub(_guess, text)
    secrets = list(_secrets(tree.root))
    parts: list[str] = []
    last = 0
    for start, end in sorted({(secret.start, secret.end) for secret in secrets}):
        parts += (text[last:start], _stars(text[start:end]))
        last = end
    shown = "".join((*parts, text[last:]))
    # A secret may also stand where an alias repeats it from; a short one could be any word of the file.
    for raw in {secret.scalar.raw for secret in secrets}:
        if len(raw) >= _LONG and not _REFERENCE.search(raw):
            shown = shown.replace(raw, "*" * len(raw))
    return shown


def _guess(match: re.Match[str]) -> str:
    key, colon, rest = match[0].partition(":")
    return key + colon + _stars(rest)


def _stars(secret: str) -> str:
    """Stars for everything but spaces, brackets, quotes at the ends, and names of variables."""
    parts: list[str] = []
    last = 0
    for match in _REFERENCE.finditer(secret):
        parts += (re.sub(r"[^\s{}\[\],\"'-]", "*", secret[last : match.start()]), match[0])
        last = match.end()
    return "".join((*parts, re.sub(r"[^\s{}\[\],\"'-]", "*", secret[last:])))


def _secrets(root: Node) -> Iterator[ScalarNode]:
    for pattern in _PATTERNS:
        nodes = [root]
        for step in pattern:
            nodes = [inner for node in nodes for inner in _inner(node, step)]
        yield from (node for node in nodes if isinstance(node, ScalarNode))


def _inner(node: Node, step: str) -> list[Node]:
    if isinstance(node, ListNode):
        return node.items if step == "-" else []
    if isinstance(node, MapNode):
        if step == "*":
            return [entry.node for entry in node.entries.values()]
        return [node.entries[step].node] if step in node.entries else []
    return []

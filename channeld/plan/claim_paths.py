"""Parses the keys of `require`: a claim's name, or a path of names and templates into it.

`realm_access.roles` is a path of two names. `["https://example.com/roles"]` is one name that contains dots, and so is any
key that contains `://`. `docs.{params.board_id}` ends in a template, whose value is one name.
"""

import re

import attrs

from channeld.plan.expressions import (
    Expression,
    Literal,
    Node,
    TemplateSyntaxError,
    Text,
    parse_text,
)

_QUOTED = re.compile(r'\["([^"]+)"\]')
_PLAIN = re.compile(r"(?:[^.\[\]{}]|\{[^{}]*\})+")
_HELP = 'write `a.b`, or `["a.b"]` for a name with dots of its own'


def parse_claim_path(
    key: str, pointer: str, mistakes: list[TemplateSyntaxError]
) -> tuple[Node, ...]:
    """The steps of a path, each a `Literal` name or a template. Errors are added to `mistakes`."""
    if "://" in key and not _QUOTED.search(key):
        return (Literal(key),)
    steps: list[Node] = []
    position = 0
    while position < len(key):
        quoted = _QUOTED.match(key, position)
        if quoted is not None:
            steps.append(Literal(quoted[1]))
            position = quoted.end()
            continue
        start = position + 1 if steps and key[position] == "." else position
        plain = _PLAIN.match(key, start)
        if plain is None or (steps and start == position):
            break
        steps.append(_step(plain[0], pointer, mistakes))
        position = plain.end()
    if position < len(key) or not steps:
        message = f"`{key}` is not the path of a claim"
        mistakes.append(TemplateSyntaxError(pointer, -1, 0, message, _HELP))
        return ()
    return tuple(steps)


def _step(text: str, pointer: str, mistakes: list[TemplateSyntaxError]) -> Node:
    found: list[TemplateSyntaxError] = []
    node = parse_text(text, pointer, found)
    mistakes.extend(attrs.evolve(mistake, offset=-1, length=0) for mistake in found)
    return _in_key(node)


def _in_key(node: Node) -> Node:
    """The node with its expressions located at the key, which has no offsets of its own."""
    match node:
        case Expression():
            return attrs.evolve(node, offset=-1)
        case Text(parts, pointer):
            placed = (p if isinstance(p, str) else attrs.evolve(p, offset=-1) for p in parts)
            return Text(tuple(placed), pointer)
        case _:
            return node

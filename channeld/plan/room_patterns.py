"""Room patterns: which rooms `rooms.subscribe.allow` admits, and whether two patterns can name the same room.

`*` in the literal text of an `allow` entry matches any run of characters, including none; a `*` in a rendered value is
literal. Matching takes the runs between the stars from left to right, so it is linear.
"""

import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from channeld.plan.expressions import Expression, Literal, Node, Text
from channeld.plan.plan import MISSING, Scope, Template
from channeld.plan.template_closures import build, text_of


class _Star(enum.Enum):
    STAR = "*"


STAR: Final = _Star.STAR
Tokens: TypeAlias = tuple["str | _Star | Expression", ...]
"""A room pattern: literal runs, stars, and values that are known at run time only."""


def tokens(node: Node, *, stars: bool) -> Tokens:
    """The pattern of a room template; `stars`: whether `*` in its literal text is a wildcard."""
    parts: Sequence[str | Expression]
    match node:
        case Literal(str() as text):
            parts = (text,)
        case Expression():
            parts = (node,)
        case Text(found):
            parts = found
        case _:
            parts = ()
    pattern: list[str | _Star | Expression] = []
    for part in parts:
        if isinstance(part, Expression) or not stars:
            pattern.append(part)
            continue
        first, *others = part.split("*")
        if first:
            pattern.append(first)
        for run in others:
            pattern.append(STAR)
            if run:
                pattern.append(run)
    return tuple(pattern)


def allows(patterns: Sequence[Tokens]) -> Callable[[Scope, str], bool]:
    """Make the function that matches a room against the patterns; those without expressions are compiled once."""
    exact: set[str] = set()
    globs: list[list[str]] = []
    live: list[Callable[[Scope, str], list[list[str]]]] = []
    for pattern in patterns:
        if any(isinstance(token, Expression) for token in pattern):
            live.append(_renderer(pattern))
            continue
        runs = _runs([token for token in pattern if not isinstance(token, Expression)])
        if len(runs) == 1:
            exact.add(runs[0])
        else:
            globs.append(runs)

    def ask(scope: Scope, room: str) -> bool:
        if room in exact or any(_matches(runs, room) for runs in globs):
            return True
        return any(_matches(runs, room) for render in live for runs in render(scope, room))

    return ask


def may_meet(one: Tokens, other: Tokens) -> bool:
    """Whether some room can match both patterns; an expression may be any text."""
    left, right = list(_characters(one)), list(_characters(other))
    # reachable[j]: the first i tokens of `left` and the first j of `right` can be the same text.
    reachable = [True]
    for character in right:
        reachable.append(reachable[-1] and character is STAR)
    for character in left:
        below = [reachable[0] and character is STAR]
        for j, opposite in enumerate(right):
            if character is STAR or opposite is STAR:
                below.append(reachable[j + 1] or below[j])
            else:
                below.append(reachable[j] and character == opposite)
        reachable = below
    return reachable[-1]


def _characters(pattern: Tokens) -> Iterator[str | _Star]:
    for token in pattern:
        if isinstance(token, str):
            yield from token
        else:
            yield STAR


def _runs(pattern: Sequence[str | _Star]) -> list[str]:
    runs = [""]
    for token in pattern:
        if isinstance(token, str):
            runs[-1] += token
        else:
            runs.append("")
    return runs


def _renderer(pattern: Tokens) -> Callable[[Scope, str], list[list[str]]]:
    """Make the function that renders a pattern: one result per list element, none if a value is missing."""
    pieces: list[str | _Star | Template] = [
        build(token) if isinstance(token, Expression) else token for token in pattern
    ]

    def render(scope: Scope, room: str) -> list[list[str]]:
        rendered: list[list[str | _Star]] = [[]]
        for piece in pieces:
            value = piece(scope, {}) if callable(piece) else piece
            if value is MISSING:
                return []
            if value is STAR:
                values: list[str | _Star] = [STAR]
            else:
                # Of a list of thousands, only elements that occur in the room's name can match.
                is_list = isinstance(value, list)
                values = [one for one in value if one in room] if is_list else [text_of(value)]
            rendered = [[*before, after] for before in rendered for after in values]
        return [_runs(each) for each in rendered]

    return render


def _matches(runs: Sequence[str], room: str) -> bool:
    first, last = runs[0], runs[-1]
    if len(runs) == 1:
        return room == first
    if not room.startswith(first):
        return False
    position = len(first)
    for run in runs[1:-1]:
        found = room.find(run, position)
        if found < 0:
            return False
        position = found + len(run)
    return room.endswith(last) and position + len(last) <= len(room)

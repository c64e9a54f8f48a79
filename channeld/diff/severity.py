"""How severe a difference between two schemas is, for what clients send and for what they receive.

What clients send must not become narrower, what they receive must not become wider. The table below lists the milder cases,
with reasons.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from channeld.diff.change import Level
from channeld.schema.compare.difference import Effect, Fact


class Direction(enum.Enum):
    """Which way a value travels. PASSED_ON: one client sends it, and others receive it unchanged."""

    SENT = "sent"
    RECEIVED = "received"
    PASSED_ON = "passed on"


_B, _D, _S = Level.BREAKING, Level.DANGEROUS, Level.SAFE
Judge: TypeAlias = Callable[[Fact], Level]

_SENT: Final[Mapping[Effect, Level]] = {
    Effect.NARROWS: _B,
    Effect.WIDENS: _S,
    Effect.CHANGES: _B,
    Effect.MAY_NARROW: _D,
    Effect.MAY_WIDEN: _S,
    Effect.UNKNOWN: _D,
    Effect.NOTHING: _S,
}
_RECEIVED: Final[Mapping[Effect, Level]] = {
    Effect.NARROWS: _S,
    Effect.WIDENS: _B,
    Effect.CHANGES: _B,
    Effect.MAY_NARROW: _S,
    Effect.MAY_WIDEN: _D,
    Effect.UNKNOWN: _D,
    Effect.NOTHING: _S,
}


def _at_most_dangerous(fact: Fact) -> Level:
    return _S if _RECEIVED[fact.effect] is _S else _D


_SENT_BUT: Final[Mapping[str, Judge]] = {
    # An open object still accepts the field, and the server no longer checks it.
    "D303": lambda fact: _D if fact.effect is Effect.WIDENS else _B,
    # In an open object, clients may have sent a field of that name all along.
    "D304": lambda fact: _D if fact.may_lose() else _S,
    # A missing value now means something else.
    "D317": lambda _: _D,
}
_RECEIVED_BUT: Final[Mapping[str, Judge]] = {
    # The object was open to undeclared fields, so only strict clients are affected.
    "D301": lambda fact: _D if fact.closed else _S,
    # The field was optional, so clients can do without it.
    "D303": lambda fact: _B if fact.required else _D,
    "D304": lambda fact: _D if fact.closed else _S,
    "D309": lambda fact: _at_most_dangerous(fact) if fact.extensible else _RECEIVED[fact.effect],
    # Few clients check the pattern or format of what they receive.
    "D312": _at_most_dangerous,
    # Few clients refuse unknown fields.
    "D314": _at_most_dangerous,
}
_PASSED_ON_BUT: Final[Mapping[str, Judge]] = {
    # Received values may be longer or larger now; few clients depend on their size.
    "D311": _at_most_dangerous,
}


def level_of(fact: Fact, direction: Direction) -> Level:
    """The level of a difference in one direction. PASSED_ON is about receivers only; SENT covers senders."""
    if direction is Direction.SENT:
        judge, usual = _SENT_BUT.get(fact.code), _SENT
    else:
        judge, usual = _RECEIVED_BUT.get(fact.code), _RECEIVED
        if direction is Direction.PASSED_ON:
            judge = _PASSED_ON_BUT.get(fact.code, judge)
    return judge(fact) if judge is not None else usual[fact.effect]

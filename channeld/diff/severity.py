"""How bad a difference between two schemas is: for what clients send, and for what they receive.

What clients send may not get narrower, what they receive may not get wider. The table below says where the answer is
milder than that, and why.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from channeld.diff.change import Level
from channeld.schema.compare.difference import Effect, Fact


class Direction(enum.Enum):
    """Which way a value travels. PASSED_ON: one client sends it, and others receive it as it is."""

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
    # An open object takes the field still, and the server no longer looks at it.
    "D303": lambda fact: _D if fact.effect is Effect.WIDENS else _B,
    # In an open object somebody may have sent a field of that name all along.
    "D304": lambda fact: _D if fact.may_lose() else _S,
    # A value that is left out means something else now.
    "D317": lambda _: _D,
}
_RECEIVED_BUT: Final[Mapping[str, Judge]] = {
    # Nobody was told of a field that the object did not close out, so only strict clients mind.
    "D301": lambda fact: _D if fact.closed else _S,
    # A field that was optional: clients can do without it.
    "D303": lambda fact: _B if fact.required else _D,
    "D304": lambda fact: _D if fact.closed else _S,
    "D309": lambda fact: _at_most_dangerous(fact) if fact.extensible else _RECEIVED[fact.effect],
    # Few clients check the pattern or the format of what they get.
    "D312": _at_most_dangerous,
    # Few clients refuse fields that they do not know.
    "D314": _at_most_dangerous,
}
_PASSED_ON_BUT: Final[Mapping[str, Judge]] = {
    # What other clients may send is longer or larger now; only few clients count on its size.
    "D311": _at_most_dangerous,
}


def level_of(fact: Fact, direction: Direction) -> Level:
    """How bad a difference is for one direction. PASSED_ON is about receivers only: senders are asked with SENT."""
    if direction is Direction.SENT:
        judge, usual = _SENT_BUT.get(fact.code), _SENT
    else:
        judge, usual = _RECEIVED_BUT.get(fact.code), _RECEIVED
        if direction is Direction.PASSED_ON:
            judge = _PASSED_ON_BUT.get(fact.code, judge)
    return judge(fact) if judge is not None else usual[fact.effect]

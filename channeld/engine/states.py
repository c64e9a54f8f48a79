"""The states of a session; the table at the head of `session.py` says what each accepts."""

import enum

__all__ = ["State"]


class State(enum.Enum):
    """Where a session is in its life."""

    NEW = enum.auto()
    AUTHENTICATING = enum.auto()
    OPENING = enum.auto()
    OPEN = enum.auto()
    ENDING = enum.auto()
    CLOSED = enum.auto()

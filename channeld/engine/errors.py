"""The failures of a client's frame, and the one place that turns them into error frames and counts."""

from channeld.broker.broker import BrokerUnavailable
from channeld.engine.ports import BackendUnavailable
from channeld.engine.session import Session, State
from channeld.hooks import Reject
from channeld.plan.plan import MessageCounters, MessagePlan
from channeld.plan.requires import unmet
from channeld.protocol.codes import ErrorCode
from channeld.protocol.frames import Frame
from channeld.schema.violations import Violation
from channeld.telemetry import log


class Forbidden(Exception):
    """The client may not do what it asked for; it stays connected."""

    def __init__(self, message: str, room: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.room = room


def check_require(session: Session, message: MessagePlan, frame: Frame) -> None:
    """Check that the sender's claims meet the message's `require`; the log has the entry that is not met.

    Raises:
        Forbidden: they do not.
    """
    claim = unmet(message.require, session, frame) if message.require else None
    if claim is not None:
        log("require_unmet", **session.who, message=message.type, claim=claim)
        raise Forbidden("You may not send this")


class Overtaken(Exception):
    """A reload came while a message waited: its type is gone (no violations), or the new schema refuses it."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__("a reload changed the message's type")
        self.violations = violations


class HookFailed(Exception):
    """A hook raised or took too long. `ref` is the reference in the log line."""

    def __init__(self, ref: str) -> None:
        super().__init__(ref)
        self.ref = ref


def refuse_for(
    session: Session,
    error: Exception,
    id: str | int | None,
    counters: MessageCounters | None = None,
) -> None:
    """Answer with the error frame for an exception; call it in the exception's handler.

    Any unknown exception is a server bug: it is logged with its traceback, and the client gets INTERNAL_ERROR.
    """
    counters = counters or MessageCounters()
    if isinstance(error, Forbidden):
        counters.forbidden += 1
        room = {} if error.room is None else {"room": error.room}
        session.refuse(ErrorCode.FORBIDDEN, error.message, id, room)
    elif isinstance(error, Reject):
        counters.rejected += 1
        session.refuse(error.code, error.message, id, error.fields)
    elif isinstance(error, Overtaken):
        if error.violations:
            session.refuse_message(error.violations, id)
        else:
            session.refuse_type(id)
    elif isinstance(error, BrokerUnavailable):
        counters.unavailable += 1
        text, after = "The message was not routed; try again", error.retry_after
        is_backend, is_opening = isinstance(error, BackendUnavailable), session.is_in(State.OPENING)
        outcome = {}
        if error.is_unknown and (is_backend or not is_opening):
            text, outcome = "The message may have been routed", {"outcome": "unknown"}
        if is_opening or (is_backend and error.is_unknown):
            text = "Try again later"
        session.refuse(ErrorCode.UNAVAILABLE, text, id, {"retry_after": after, **outcome})
    else:
        counters.failed += 1
        session.fail(id, error.ref if isinstance(error, HookFailed) else None)

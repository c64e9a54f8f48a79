"""Exceptions become error frames and counts."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from channeld.broker.broker import BrokerUnavailable
from channeld.engine.errors import Forbidden, HookFailed, refuse_for
from channeld.engine.session import Session
from channeld.hooks import Reject
from channeld.plan.plan import MessageCounters

NO_FIELDS: Mapping[str, object] = {}


class Recorder:
    """As much of a session as is asked for."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []

    def refuse(
        self, code: str, message: str, id: object = None, fields: Mapping[str, object] = NO_FIELDS
    ) -> None:
        self.said.append((str(code), dict(fields)))

    def is_in(self, *states: object) -> bool:
        return False

    def fail(self, id: object, ref: str | None = None) -> None:
        self.said.append(("INTERNAL_ERROR", {"ref": ref}))


@pytest.mark.parametrize(
    ("error", "said", "counter"),
    [
        (Forbidden("no", "r"), ("FORBIDDEN", {"room": "r"}), "forbidden"),
        (Forbidden("no"), ("FORBIDDEN", {}), "forbidden"),
        (Reject("no", code="OWN", hint=1), ("OWN", {"hint": 1}), "rejected"),
        (BrokerUnavailable(2.5), ("UNAVAILABLE", {"retry_after": 2.5}), "unavailable"),
        (
            BrokerUnavailable(2.5, is_unknown=True),
            ("UNAVAILABLE", {"retry_after": 2.5, "outcome": "unknown"}),
            "unavailable",
        ),
        (HookFailed("r1"), ("INTERNAL_ERROR", {"ref": "r1"}), "failed"),
        (ZeroDivisionError(), ("INTERNAL_ERROR", {"ref": None}), "failed"),
    ],
)
def test_each_failure_has_its_code_and_its_counter(
    error: Exception, said: tuple[str, dict[str, Any]], counter: str
) -> None:
    session, counters = Recorder(), MessageCounters()
    refuse_for(cast("Session", session), error, 1, counters)
    assert session.said == [said]
    assert getattr(counters, counter) == 1

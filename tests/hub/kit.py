"""A hub on the memory broker, with peers that write down what they get."""

import json
from typing import Any

from channeld.broker.broker import Topic
from channeld.broker.memory import MemoryBroker
from channeld.config.model import Limits
from channeld.hub.fanout import DirectFanout
from channeld.hub.hub import Hub
from channeld.hub.rooms import InRooms
from channeld.later import run_sync
from channeld.plan.plan import PresencePlan
from channeld.timers import Timers

CHANNEL = "room"


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_000_000.0 + self.now


class RecordingPeer:
    """Keeps the frames that it is sent."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(json.loads(frame))

    def take(self) -> list[dict[str, Any]]:
        frames, self.frames = self.frames, []
        return frames


class FakeMember(InRooms):
    """What a hub knows of a session."""

    def __init__(self, connection_id: str, user_id: str | None) -> None:
        super().__init__()
        self.connection_id = connection_id
        self.user_id = user_id
        self.peer = RecordingPeer()
        self.limits = Limits()
        self.is_too_slow = False

    def too_slow(self) -> None:
        self.is_too_slow = True


class Kit:
    """A hub, its clock and its timers."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.timers = Timers()
        self.hub = Hub(
            lambda deliver: MemoryBroker(deliver, self.clock, "e" * 11),
            DirectFanout(),
            self.clock,
            self.timers,
            _never,
        )

    def attach(self, connection_id: str, user_id: str | None) -> FakeMember:
        member = FakeMember(connection_id, user_id)
        run_sync(self.hub.attach(member, CHANNEL))
        return member

    def advance(self, seconds: float) -> None:
        self.clock.now += seconds
        self.timers.run(self.clock.now)


def _never(pending: object) -> None:
    raise AssertionError("the memory broker answers at once")


def room(name: str) -> Topic:
    return Topic("room", CHANNEL, name)


def presence(grace: float = 5.0, batch: float = 0.0, *, events: bool = True) -> PresencePlan:
    return PresencePlan(
        scope="room", info=lambda _scope, _message: {}, grace=grace, events=events, batch=batch
    )

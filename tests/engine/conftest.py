"""A running engine from a few lines of YAML."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from channeld.broker.broker import BrokerUnavailable, Bucket
from channeld.testing import Client, TestApp, running

ROOM = """
  room:
    path: /rooms/{id}
    auth: session
    rooms: "{params.id}"
    presence: {info: {name: "{claims.name?}"}}
    history: {size: 3, ttl: 60s}
    messages:
      say: {schema: true, route: room}
      blip: {schema: true, route: room, history: false}
"""

Serve = Callable[[str], AbstractAsyncContextManager[TestApp]]

HEAD = """
channeld: 1
auth:
  session: {type: jwt, algorithms: [HS256], secret: "a secret of at least thirty-two bytes", leeway: 0s}
"""


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """`async with serve(channels) as app`: the text under `channels:`, with a jwt authenticator `session`."""

    def start(channels: str) -> AbstractAsyncContextManager[TestApp]:
        file = tmp_path / "channels.yaml"
        file.write_text(HEAD + "channels:\n" + channels)
        return running(file)

    return start


async def joined(app: TestApp, user: str, since: str | None = None) -> Client:
    return await app.connect("/rooms/a", user=user, claims={"name": user.title()}, since=since)


@attrs.define
class Shared:
    """What nodes share; it answers `waits`, in turn, then 0. Debts come at once, or (`is_late`) when one of `late` is called."""

    waits: list[float | Exception] = attrs.field(factory=list)
    asked: list[Bucket] = attrs.field(factory=list)
    debts: dict[str, Mapping[str, float]] = attrs.field(factory=dict)
    redeemed: list[str] = attrs.field(factory=list)
    is_away: bool = False
    is_late: bool = False
    late: list[Callable[[], object]] = attrs.field(factory=list)

    def owe(self, account: str, debt: Mapping[str, float]) -> None:
        if self.is_away:
            raise BrokerUnavailable
        self.debts[account] = debt

    def redeem(
        self, account: str, told: Callable[[Mapping[str, float]], object] = lambda _debt: None
    ) -> Mapping[str, float]:
        self.redeemed.append(account)
        if self.is_away:
            raise BrokerUnavailable
        debt = self.debts.pop(account, {})
        if self.is_late:
            self.late.append(partial(told, debt))
        else:
            told(debt)
        return debt

    async def spend(self, bucket: Bucket) -> float:
        self.asked.append(bucket)
        wait = self.waits.pop(0) if self.waits else 0.0
        if isinstance(wait, Exception):
            raise wait
        return wait


def share(app: TestApp, *waits: float | Exception) -> Shared:
    shared: Any = Shared([*waits])
    app.engine.shared = shared
    return shared  # type: ignore[no-any-return]

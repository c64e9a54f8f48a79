"""Two configurations: one that serves in memory, and one that is asked."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from channeld.plan.load import check
from channeld.plan.plan import Plan
from channeld.shadow.shadow import Shadow
from channeld.testing import TestApp, running

HEAD = """
channeld: 1
auth:
  session: {type: jwt, algorithms: [HS256], secret: "a secret of at least thirty-two bytes", leeway: 0s}
channels:
"""

Compare = Callable[..., AbstractAsyncContextManager[tuple[TestApp, Shadow]]]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """`async with compare(served, asked) as (app, shadow)`: two texts that stand under `channels:`."""

    def plan_of(name: str, channels: str, head: str = HEAD) -> Plan:
        file = tmp_path / name
        file.write_text(head + channels)
        checked = check(str(file), import_hooks=name == "served.yaml")
        assert checked.plan is not None, [str(found.message) for found in checked.report]
        return checked.plan

    @asynccontextmanager
    async def compared(
        served: str, asked: str, head: str = HEAD, *, served_head: str = HEAD
    ) -> AsyncIterator[tuple[TestApp, Shadow]]:
        async with running(plan_of("served.yaml", served, served_head)) as app:
            yield app, Shadow(plan_of("asked.yaml", asked, head), app.engine)

    return compared

"""Lifespan hooks that raise or do not end."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from channeld.server.lifespan import LIFESPAN_END_S, LifespanFailed, contained


@asynccontextmanager
async def life(raises_at: str = "", *, lasts: bool = False) -> AsyncIterator[None]:
    if raises_at == "start":
        raise KeyError("it")
    yield
    if raises_at == "end":
        raise KeyError("it")
    if lasts:
        await trio.sleep_forever()


@pytest.mark.parametrize("moment", ["start", "end"])
async def test_what_a_lifespan_raises_is_named(
    capsys: pytest.CaptureFixture[str], moment: str
) -> None:
    with pytest.raises(LifespanFailed, match="the lifespan hook a:b raised KeyError: 'it'"):
        async with contained("a:b", life(moment), trio.current_time):
            pass
    assert "hook_failed" in capsys.readouterr().err


async def test_what_the_block_raises_is_not_the_hooks() -> None:
    with pytest.raises(ZeroDivisionError):
        async with contained("a:b", life(), trio.current_time):
            raise ZeroDivisionError


@pytest.mark.parametrize("left", [0.0, LIFESPAN_END_S + 3])
async def test_an_end_has_what_is_left_of_the_drain_or_a_moment(
    capsys: pytest.CaptureFixture[str], autojump_clock: trio.testing.MockClock, left: float
) -> None:
    drained_at = trio.current_time() + left
    async with contained("a:b", life(lasts=True), lambda: drained_at):
        pass
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["seconds"]) == ("hook_timeout", max(left, LIFESPAN_END_S))

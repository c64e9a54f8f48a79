import pytest

from tests.shadow.conftest import Compare
from tests.shadow.kit import ROOM, events


async def test_an_example_a_minute_without_what_is_sensitive(
    compare: Compare, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = ROOM.replace("maxLength: 50", "maxLength: 3")
    async with compare(ROOM, strict) as (app, shadow):
        client = await app.connect("/rooms/a", user="ann")
        for _ in range(3):
            await client.send({"type": "say", "text": "hello", "pin": "MARKED-4711"})
        await app.advance(61)
        await client.send({"type": "say", "text": "again", "pin": "MARKED-4711"})
        await app.rest()
        shadow.tally.summarize()
    text = capsys.readouterr().err
    first, second = events(text, "shadow_refused")
    assert first["why"] == "/text: maxLength"
    assert first["example"]["text"] == "hello"
    assert second["example"]["text"] == "again"
    assert "MARKED" not in text
    (summary,) = events(text, "shadow_summary")
    assert summary["messages"] == 4
    assert summary["reasons"] == ["4 say in room: INVALID_MESSAGE"]


async def test_the_versions_of_both_are_said(
    compare: Compare, capsys: pytest.CaptureFixture[str]
) -> None:
    hooked = ROOM.replace("route: room\n", "route: room\n        hook: nowhere:never\n")
    async with compare(ROOM, hooked) as (app, shadow):
        shadow.begin()
        (told,) = events(capsys.readouterr().err, "shadow_started")
        assert told["version"] == app.plan.version
        assert told["against"] == shadow.judge.plan.version != told["version"]
        assert told["hooks_not_called"] == 1

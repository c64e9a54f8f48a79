import pytest

from channeld.shadow.tally import TallyKey
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


ONE_EACH = ROOM.replace("    messages:", "    limits: {connections_per_user: 1}\n    messages:")


async def test_a_user_s_oldest_connection_would_be_closed(compare: Compare) -> None:
    async with compare(ROOM, ONE_EACH) as (app, shadow):
        first, second = [await app.connect("/rooms/a", user="ann") for _ in range(2)]
        await app.connect("/rooms/a", user="bob")
        assert shadow.tally.refused == {TallyKey("room", "", "4409"): 1}
        for client in (first, second):
            await client.send({"type": "whisper"})
        # The first would not be there.
        assert shadow.tally.messages == 1
        await second.close()
        await app.connect("/rooms/a", user="ann")
        assert shadow.tally.refused == {TallyKey("room", "", "4409"): 1}


async def test_a_connection_that_is_closed_anyway_is_not_counted(compare: Compare) -> None:
    async with compare(ONE_EACH, ONE_EACH) as (app, shadow):
        for _ in range(3):
            await app.connect("/rooms/a", user="ann")
        assert shadow.tally.handshakes == 3
        assert shadow.tally.refused == {}

from pathlib import Path
from typing import cast

import pytest

from channeld.shadow.shadow import ShadowedReceiver
from channeld.shadow.tally import TallyKey
from tests.shadow.conftest import Compare
from tests.shadow.kit import ROOM, events, said


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


async def test_what_both_refuse_is_no_news(compare: Compare) -> None:
    strict = ROOM.replace("maxLength: 50", "maxLength: 3")
    async with compare(strict, strict) as (app, shadow):
        heard = await said(app, {"type": "say", "text": "hello"})
        assert heard[-1]["code"] == "INVALID_MESSAGE"
        assert shadow.tally.refused == {}


async def test_a_connection_that_ends_leaves_nothing(compare: Compare) -> None:
    rated = ROOM.replace("route: room\n", "route: room\n        rate: 100/s\n")
    async with compare(ROOM, rated) as (app, shadow):
        client = await app.connect("/rooms/a", user="ann")
        await client.send({"type": "say", "text": "hi"})
        await app.rest()
        session = client.session
        await client.close()
        await app.advance(5)
        assert getattr(session, "shadow", None) is None
        assert len(shadow.judge._engine.sessions) == 0


REJECTS = "from channeld import Reject\n\n\nasync def it(ctx, message):\n    raise Reject('no')\n"
WAITS = "import trio\n\n\nasync def it(ctx, message):\n    await trio.sleep(0)\n"


@pytest.mark.parametrize(
    ("hook", "heard", "refused"),
    [
        pytest.param(REJECTS, "error", {}, id="one that the hook rejects was not taken"),
        pytest.param(
            WAITS,
            "say",
            {TallyKey("room", "say", "INVALID_MESSAGE"): 1},
            id="one that the hook waits for is judged afterwards",
        ),
    ],
)
async def test_a_message_with_a_hook(
    compare: Compare, tmp_path: Path, hook: str, heard: str, refused: dict[TallyKey, int]
) -> None:
    (tmp_path / f"{heard}_hook.py").write_text(hook)
    served = ROOM.replace("route: room\n", f"route: room\n        hook: {heard}_hook:it\n")
    strict = ROOM.replace("maxLength: 50", "maxLength: 3")
    async with compare(served, strict) as (app, shadow):
        frames = await said(app, {"type": "say", "text": "hello"})
        assert frames[-1]["type"] == heard
        assert (shadow.tally.messages, shadow.tally.refused) == (1, refused)


async def test_a_judge_that_fails_is_not_asked_again(compare: Compare) -> None:
    async with compare(ROOM, ROOM) as (app, shadow):
        client = await app.connect("/rooms/a", user="ann")
        assert isinstance(client.session, ShadowedReceiver)
        messages = cast("dict[str, object]", shadow.judge.plan.channels["room"].messages)
        messages["whisper"] = object()
        await client.send({"type": "whisper"})
        await app.rest()
        assert client.inbox[-1]["type"] == "whisper"
        assert client.session.shadow is None


async def test_a_reload_of_the_one_that_serves_is_followed(compare: Compare) -> None:
    async with compare(ROOM, ROOM) as (app, shadow):
        client = await app.connect("/rooms/a", user="ann")
        app.engine.reload(shadow.judge.plan, {})
        await client.send({"type": "whisper"})
        await app.rest()
        assert client.inbox[-1]["type"] == "whisper"
        assert shadow.tally.messages == 1

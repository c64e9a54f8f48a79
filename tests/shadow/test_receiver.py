from pathlib import Path

from channeld.shadow.receiver import ShadowedReceiver
from channeld.shadow.tally import TallyKey
from tests.shadow.conftest import Compare
from tests.shadow.kit import ROOM, said


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
        assert session is not None
        assert getattr(session, "shadow", None) is None
        assert len(shadow.judge._engine.sessions) == 0


async def test_a_message_whose_hook_rejects_it_was_not_taken(
    compare: Compare, tmp_path: Path
) -> None:
    (tmp_path / "shy.py").write_text(
        "from channeld import Reject\n\n\nasync def no(ctx, message):\n    raise Reject('no')\n"
    )
    served = ROOM.replace("route: room\n", "route: room\n        hook: shy:no\n")
    strict = ROOM.replace("maxLength: 50", "maxLength: 3")
    async with compare(served, strict) as (app, shadow):
        heard = await said(app, {"type": "say", "text": "hello"})
        assert heard[-1]["code"] == "REJECTED"
        assert (shadow.tally.messages, shadow.tally.refused) == (1, {})


async def test_a_message_that_a_hook_waits_for_is_told_of_afterwards(
    compare: Compare, tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(
        "import trio\n\n\nasync def think(ctx, message):\n    await trio.sleep(0)\n"
    )
    served = ROOM.replace("route: room\n", "route: room\n        hook: slow:think\n")
    strict = ROOM.replace("maxLength: 50", "maxLength: 3")
    async with compare(served, strict) as (app, shadow):
        heard = await said(app, {"type": "say", "text": "hello"})
        assert heard[-1]["type"] == "say"
        assert shadow.tally.refused == {TallyKey("room", "say", "INVALID_MESSAGE"): 1}


async def test_a_judge_that_fails_is_not_asked_again(compare: Compare) -> None:
    async with compare(ROOM, ROOM) as (app, shadow):
        client = await app.connect("/rooms/a", user="ann")
        assert isinstance(client.session, ShadowedReceiver)
        shadow.judge.refuses = None  # type: ignore[assignment, method-assign]
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

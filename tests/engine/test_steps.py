"""`once` and `deprecated`, and the order in which a message with options is judged."""

from typing import Any

import pytest

from tests.engine.conftest import Serve

CHANNEL = """
  c:
    path: /c
    auth: {use: session, optional: true}
    rooms: a
    messages:
      say:
        schema: {type: object, required: [x], properties: {x: {type: integer}}, additionalProperties: false}
        route: room
        once: 60s
      quiet: {schema: true, route: none, hook: "step_hooks:note", once: 60s}
      old: {schema: true, route: sender, deprecated: {sunset: "2999-01-01", use: say}}
"""


async def ask(client: Any, **fields: Any) -> dict[str, Any]:
    await client.send({"type": "say", "x": 1, "id": 7} | fields)
    (answer,) = [f for f in await client.received() if f["type"] in ("ack", "error")]
    return dict(answer)


@pytest.fixture(autouse=True)
def hooks(tmp_path: Any) -> None:
    tmp_path.joinpath("step_hooks.py").write_text(
        'async def note(ctx, message):\n    await ctx.reply({"seen": True})\n'
    )


async def test_the_same_key_is_routed_once_over_reconnects(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        first, other = await app.connect("/c", user="ann"), await app.connect("/c", user="bob")
        assert await ask(first, once="k") == {"type": "ack", "id": 7}
        assert await ask(first, once="k") == {"type": "ack", "id": 7, "repeated": True}
        await first.close()
        again = await app.connect("/c", user="ann")
        assert (await ask(again, once="k"))["repeated"]
        assert [f["x"] for f in await other.received() if f["type"] == "say"] == [1]
        assert await ask(other, once="k") == {"type": "ack", "id": 7}
        await app.advance(60)
        assert "repeated" not in await ask(again, once="k")


async def test_a_refused_message_takes_no_key(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        client = await app.connect("/c", user="ann")
        assert (await ask(client, x="no", once="k"))["code"] == "INVALID_MESSAGE"
        assert await ask(client, once="k") == {"type": "ack", "id": 7}


@pytest.mark.parametrize("key", ["", "x" * 65, 1, None, []])
async def test_what_is_no_key_is_refused(serve: Serve, key: object) -> None:
    async with serve(CHANNEL) as app:
        answer = await ask(await app.connect("/c"), once=key)
        assert (answer["code"], answer["errors"][0]["path"]) == ("INVALID_MESSAGE", "/once")


async def test_anonymous_keys_are_the_connection_s_own(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        one, two = await app.connect("/c"), await app.connect("/c")
        assert "repeated" not in await ask(one, once="k")
        assert "repeated" not in await ask(two, once="k")
        assert (await ask(one, once="k"))["repeated"]


async def test_a_hook_runs_once_although_nothing_is_published(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        client = await app.connect("/c", user="ann")
        for _ in range(2):
            await client.send({"type": "quiet", "once": "k", "id": 1})
        reply, ack = [f for f in await client.received() if f["type"] in ("reply", "ack")]
        assert reply["seen"]
        assert ack == {"type": "ack", "id": 1, "repeated": True}


async def test_without_the_option_it_is_a_field_like_any_other(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        client = await app.connect("/c")
        await client.send({"type": "old", "once": "k"})
        assert [f.get("once") for f in await client.received() if f["type"] == "old"] == ["k"]


async def test_a_deprecation_is_told_once_a_connection_and_counted(serve: Serve) -> None:
    async with serve(CHANNEL) as app:
        for client in (await app.connect("/c"), await app.connect("/c")):
            for id in (1, 2):
                await client.send({"type": "old", "id": id})
            acks = [frame for frame in await client.received() if frame["type"] == "ack"]
            assert acks == [
                {"type": "ack", "id": 1, "deprecated": {"sunset": "2999-01-01", "use": "say"}},
                {"type": "ack", "id": 2},
            ]
        assert app.engine.plan.channels["c"].messages["old"].counters.accepted == 4

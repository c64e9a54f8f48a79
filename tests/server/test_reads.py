"""Reads of a room as Durable Streams have them, over a whole server."""

import itertools
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import attrs
import pytest
import trio

from channeld.auth.revocations import Revocation
from channeld.server import reads
from tests.server.web_kit import CONFIG, Site, site


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as made:
        yield made


@pytest.fixture
def den(served: Site) -> str:
    return f"/rooms/den?token={served.token('ann')}"


async def say(served: Site, text: str) -> str:
    event = {"type": "told", "text": text}
    position = await served.app.hook_server.publish("room", event, room="den")
    return str(position)


async def test_metadata(served: Site, den: str) -> None:
    position = await say(served, "1")
    answer = await served.ask("HEAD", den)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.fields["stream-next-offset"] == position
    assert answer.fields["content-type"] == "application/json"
    assert answer.fields["cache-control"] == "no-store"


async def test_an_unused_room_is_empty(served: Site, den: str) -> None:
    answer = await served.ask("GET", den + "&offset=-1")
    assert (answer.status, answer.json()) == (200, [])
    assert answer.fields["stream-up-to-date"] == "true"


async def test_catching_up_from_anywhere(served: Site, den: str) -> None:
    positions = [await say(served, text) for text in "123"]
    everything = await served.ask("GET", den + "&offset=-1")
    assert [one["text"] for one in everything.json()] == ["1", "2", "3"]
    assert everything.fields["stream-next-offset"] == positions[-1]
    later = await served.ask("GET", f"{den}&offset={positions[0]}")
    assert [one["text"] for one in later.json()] == ["2", "3"]
    nothing = await served.ask("GET", f"{den}&offset={positions[-1]}")
    assert (nothing.json(), nothing.fields["stream-up-to-date"]) == ([], "true")
    now = await served.ask("GET", den + "&offset=now")
    assert (now.json(), "etag" in now.fields) == ([], False)
    assert now.fields["stream-next-offset"] == positions[-1]


async def test_a_tag_that_is_known_is_not_sent_again(served: Site, den: str) -> None:
    await say(served, "1")
    tag = (await served.ask("GET", den + "&offset=-1")).fields["etag"]
    for known in (tag, "*", f'"other", W/{tag}'):
        again = await served.ask("GET", den + "&offset=-1", If_None_Match=known)
        assert (again.status, again.body) == (304, b"")
    await say(served, "2")
    assert (await served.ask("GET", den + "&offset=-1", If_None_Match=tag)).status == 200


async def test_what_is_no_longer_kept_is_gone(served: Site, den: str) -> None:
    positions = [await say(served, str(number)) for number in range(8)]
    assert (await served.ask("GET", f"{den}&offset={positions[0]}")).status == 410
    other = positions[0].replace(positions[0][0], "f" if positions[0][0] != "f" else "e", 1)
    assert (await served.ask("GET", f"{den}&offset={other}")).status == 410


@pytest.mark.parametrize(
    "query",
    [
        "offset=",
        "offset=zz",
        "offset=-1&offset=-1",
        "live=sse",
        "offset=-1&live=soon",
        "offset=1,2",
    ],
)
async def test_a_bad_query_is_400(served: Site, den: str, query: str) -> None:
    assert (await served.ask("GET", f"{den}&{query}")).status == 400


async def test_who_may_not_connect_may_not_read(served: Site) -> None:
    assert (await served.ask("GET", "/rooms/den?offset=-1")).status == 401
    guest = served.token("eve", role="guest")
    assert (await served.ask("GET", f"/rooms/den?offset=-1&token={guest}")).status == 403
    refused = await served.ask("HEAD", "/rooms/den")
    assert (refused.status, refused.body) == (401, b"")


async def test_a_channel_without_one_room_and_a_history_has_no_stream(served: Site) -> None:
    assert (await served.ask("GET", "/lobby?offset=-1")).status == 404
    assert (await served.ask("HEAD", "/lobby")).status == 404


async def test_a_poll_waits_for_the_next_frame(served: Site, den: str) -> None:
    answers = []

    async def poll(offset: str) -> None:
        answers.append(await served.ask("GET", f"{den}&offset={offset}&live=long-poll"))

    position = await say(served, "1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll, "now")
        nursery.start_soon(poll, position)
        with trio.fail_after(30):
            await reading(served, 2)
        await say(served, "2")
    assert [[one["text"] for one in answer.json()] for answer in answers] == [["2"], ["2"]]
    assert all(answer.fields["stream-cursor"].isdecimal() for answer in answers)


async def reading(served: Site, count: int = 1) -> None:
    """Wait until that many reads wait for the room's next frame."""
    rooms = served.app.engine.hub._rooms
    while sum(len(room.watchers or ()) for room in rooms.values()) < count:
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("live", ["long-poll", "sse"])
async def test_a_read_ends_as_soon_as_its_client_has_left(
    served: Site, den: str, live: str
) -> None:
    stream = await served.connect()
    target = f"{den}&offset=now&live={live}"
    await stream.send_all(served.head("GET", target, None, {}))
    await reading(served)
    assert served.app.server._admission.open == 1
    await stream.aclose()
    with trio.fail_after(20):
        while served.app.server._admission.open or served.app.engine.over_http:
            await trio.lowlevel.checkpoint()


async def test_a_request_ahead_of_a_poll_is_answered_after_it(served: Site, den: str) -> None:
    async with await served.connect() as stream:
        poll = served.head("GET", f"{den}&offset=now&live=long-poll", None, {})
        await stream.send_all(poll)
        await reading(served)
        last = served.head("GET", f"{den}&offset=-1", None, {"Connection": "close"})
        await stream.send_all(last)
        await say(served, "1")
        data = b"".join([part async for part in stream])
    assert data.count(b"HTTP/1.1 200") == 2
    assert data.count(b'"text":"1"') == 2


async def test_too_much_ahead_of_a_poll_ends_it(served: Site, den: str) -> None:
    async with await served.connect() as stream:
        await stream.send_all(served.head("GET", f"{den}&offset=now&live=long-poll", None, {}))
        await reading(served)
        await stream.send_all(b"x" * 20_000)
        with trio.fail_after(20):
            while served.app.engine.over_http:
                await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("live", ["long-poll", "sse"])
async def test_a_revoked_user_reads_no_further(served: Site, live: str) -> None:
    target = f"/rooms/den?token={served.token('ann', iat=1)}&offset=now&live={live}"
    async with await served.connect() as stream:
        await stream.send_all(served.head("GET", target, None, {"Connection": "close"}))
        await reading(served)
        now = served.app.runtime.clock.wall()
        served.app.engine.revoke(Revocation(user="ann", before=now, until=now + 60))
        with trio.fail_after(20):
            data = b"".join([part async for part in stream])
    assert data.startswith(b"HTTP/1.1 401" if live == "long-poll" else b"HTTP/1.1 200")
    assert data.count(b"HTTP/1.1") == 1
    assert not served.app.engine.over_http


@pytest.mark.parametrize("live", ["long-poll", "sse"])
async def test_a_user_that_is_disconnected_reads_no_further(
    served: Site, den: str, live: str
) -> None:
    async with await served.connect() as stream:
        target = f"{den}&offset=now&live={live}"
        await stream.send_all(served.head("GET", target, None, {"Connection": "close"}))
        await reading(served)
        reached = await served.app.cluster.disconnect(user="ann", reason="spam")
        with trio.fail_after(20):
            data = b"".join([part async for part in stream])
    assert reached.connections == 1
    assert data.startswith(b"HTTP/1.1 403" if live == "long-poll" else b"HTTP/1.1 200")
    assert not served.app.engine.over_http


async def test_a_read_of_a_channel_that_a_reload_removes_is_over(served: Site, den: str) -> None:
    async with await served.connect() as stream:
        target = f"{den}&offset=now&live=long-poll"
        await stream.send_all(served.head("GET", target, None, {"Connection": "close"}))
        await reading(served)
        served.app.engine.reload(attrs.evolve(served.app.engine.plan, channels={}), {})
        with trio.fail_after(20):
            data = b"".join([part async for part in stream])
    assert data.startswith(b"HTTP/1.1 503")


async def test_a_poll_in_vain_is_204_and_cursors_never_go_back(
    served: Site, den: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "LONGEST_POLL", 0.01)
    position = await say(served, "1")
    cursor = -1
    for _ in range(3):
        more = f"&offset={position}&live=long-poll&cursor={cursor}"
        answer = await served.ask("GET", den + more)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.fields["stream-next-offset"] == position
        assert answer.fields["stream-up-to-date"] == "true"
        assert int(answer.fields["stream-cursor"]) > cursor
        cursor = int(answer.fields["stream-cursor"])


async def test_a_drain_answers_those_who_wait(served: Site, den: str) -> None:
    position = await say(served, "1")
    answers = []

    async def poll() -> None:
        answers.append(await served.ask("GET", f"{den}&offset={position}&live=long-poll"))

    async with trio.open_nursery() as nursery, served.events(den + "&offset=now&live=sse") as live:
        await live.until(b"\n\n")
        nursery.start_soon(poll)
        with trio.fail_after(30):
            await reading(served, 2)
            served.app.stop()
            assert await live.rest() == b""
    assert [(answer.status, answer.fields["stream-next-offset"]) for answer in answers] == [
        (204, position)
    ]


async def test_a_live_stream_brings_what_is_there_and_what_comes(
    served: Site, den: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(served, "1")
    async with served.events(den + "&offset=-1&live=sse") as events:
        assert events.fields["content-type"] == "text/event-stream"
        assert events.fields["x-accel-buffering"] == "no"
        first, control = await events.event(), await events.event()
        assert (first["event"], [one["text"] for one in first["data"]]) == ("data", ["1"])
        assert (control["event"], control["data"]["upToDate"]) == ("control", True)
        position = await say(served, "2")
        assert [one["text"] for one in (await events.event())["data"]] == ["2"]
        assert (await events.event())["data"]["streamNextOffset"] == position
    monkeypatch.setattr(reads, "LONGEST_STREAM", 0.01)
    async with served.events(den + "&offset=now&live=sse") as events:
        assert (await events.event())["data"]["streamNextOffset"] == position
        assert await events.rest() == b""


async def test_a_large_history_comes_in_chunks(
    served: Site, den: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "MOST_BYTES", 100)
    for text in "1234":
        await say(served, text)
    offset, texts = "-1", []
    while True:
        answer = await served.ask("GET", f"{den}&offset={offset}")
        texts += [one["text"] for one in answer.json()]
        offset = answer.fields["stream-next-offset"]
        if "stream-up-to-date" in answer.fields:
            break
    assert texts == ["1", "2", "3", "4"]


async def test_hooks_are_asked_and_presence_is_not_told(tmp_path: Path) -> None:
    tmp_path.joinpath("reads_hooks.py").write_text(
        "from pathlib import Path\nlog = Path(__file__).with_name('told')\n"
        "def note(text): log.write_text((log.read_text() if log.exists() else '') + text)\n"
        "def connect(ctx): note(f'connect {ctx.user.id} {ctx.room}\\n')\n"
        "def close(ctx, code, reason): note(f'close {code}\\n')\n"
    )
    hooks = "    hooks: {connect: 'reads_hooks:connect', close: 'reads_hooks:close'}\n    presence: true\n"
    async with site(tmp_path, CONFIG.replace("    presence: true\n", hooks, 1)) as served:
        await served.ask("GET", f"/rooms/den?token={served.token('ann')}&offset=-1")
        assert await served.app.hook_server.presence("room", "den") == []
        assert not served.app.engine.sessions
    assert tmp_path.joinpath("told").read_text() == "connect ann den\nclose 1000\n"


async def test_reads_that_one_frame_wakes_are_answered_a_few_in_a_turn() -> None:
    waits, heard, awake = reads.Waits(), [trio.Event() for _ in range(100)], [0]

    async def wait_for(pending: Awaitable[object]) -> None:
        await pending

    async with trio.open_nursery() as nursery:
        for event in heard:
            waits.wake(event, lambda pending: nursery.start_soon(wait_for, pending))
        while awake[-1] < len(heard):
            await trio.lowlevel.checkpoint()
            awake.append(sum(event.is_set() for event in heard))
    steps = [after - before for before, after in itertools.pairwise(awake)]
    # Between two of this task's turns the waking one may have the end of one turn and the beginning of the next.
    assert 0 < max(steps) <= 2 * reads.A_TURN

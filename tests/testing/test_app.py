"""The kit that hook authors test with: handshakes, time, what it tells of failures."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from channeld.plan.load import ConfigError
from channeld.testing import ClaimsRefused, NotReceived, Refused, running

CONFIG = """
channeld: 1
channels:
  room: {path: "/rooms/{id}", auth: none, params: {id: {type: integer}}, rooms: "{params.id}",
         history: {size: 9, ttl: 1h}, messages: {say: {schema: true, route: room}}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "channels.yaml"
    file.write_text(CONFIG)
    return file


@pytest.mark.parametrize("path", ["/nowhere", "/rooms/x", "/rooms/1/2"])
async def test_unknown_path_or_bad_param_is_refused_with_404(config: Path, path: str) -> None:
    async with running(config) as app:
        with pytest.raises(Refused) as refused:
            await app.connect(path)
        assert refused.value.status == 404


async def test_what_did_not_come_is_an_assertion_that_says_what_came(config: Path) -> None:
    async with running(config) as app:
        client = await app.connect("/rooms/1")
        with pytest.raises(
            NotReceived, match=r"no `say` came, but .*\"subscribed\".*; the connection is open"
        ):
            await client.receive("say")
        with pytest.raises(NotReceived, match="no `say` came; the connection is open"):
            await client.receive("say")
        with pytest.raises(NotReceived, match="open"):
            await client.wait_closed()


async def test_client_remembers_its_last_position(config: Path) -> None:
    async with running(config) as app:
        client = await app.connect("/rooms/1")
        await client.send({"type": "say"})
        pos = (await client.receive("say"))["pos"]
        assert client.pos == pos
        again = await app.connect("/rooms/1", since=pos)
        assert (await again.receive("subscribed"))["recovered"] is True


async def test_configuration_with_errors_says_them_all(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text("channeld: 1\nchannels: {a: {path: x, auth: nobody}}\n")
    with pytest.raises(ConfigError, match="CH401"):
        async with running(file):
            pass


async def test_failed_assertion_comes_out_as_it_is(config: Path) -> None:
    with pytest.raises(AssertionError, match="mine"):
        async with running(config):
            raise AssertionError("mine")


@pytest.fixture
def mock_clock() -> MockClock:
    return MockClock()


async def test_advance_wakes_what_sleeps_on_trios_mock_clock(
    config: Path, mock_clock: MockClock
) -> None:
    woken: list[float] = []

    async def sleeper() -> None:
        await trio.sleep(30)
        woken.append(trio.current_time())

    async with running(config) as app, trio.open_nursery() as nursery:
        nursery.start_soon(sleeper)
        await app.advance(29)
        assert woken == []
        await app.advance(2)
        assert woken == [30.0]


async def test_of_many_frames_that_were_dropped_some_are_shown(config: Path) -> None:
    async with running(config) as app:
        client = await app.connect("/rooms/1")
        for _ in range(15):
            await client.send({"type": "say", "text": "x" * 300})
        with pytest.raises(NotReceived, match=r"xxx….* and 6 more; the connection is open"):
            await client.receive("never")


async def test_a_user_that_the_claims_schema_refuses_is_an_error_of_the_test(
    tmp_path: Path,
) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(CLAIMS)
    async with running(file) as app:
        with pytest.raises(ClaimsRefused, match="claims refused at /: required"):
            await app.connect("/a", user="ann")
        with pytest.raises(ClaimsRefused, match="user id"):
            await app.connect("/b", user="x" * 200, claims={"name": "Ann"})
        ann = await app.connect("/a", user="ann", claims={"name": "Ann"})
        assert (await ann.receive())["type"] == "authenticated"
        late = await app.connect("/a", user="ann", claims={"name": "Ann"}, expires=-100.0)
        assert (await late.wait_closed())[0] == 4401


CLAIMS = """
channeld: 1
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: "a secret of at least thirty-two bytes"
    claims: {type: object, required: [name]}
  fixed: {type: tokens, tokens: [{token: "a-token-of-twenty-one-characters", user: eve}]}
channels:
  a: {path: /a, auth: session}
  b: {path: /b, auth: fixed}
"""


async def test_what_is_published_is_told_whether_or_not_anybody_is_there(config: Path) -> None:
    async with running(config) as app:
        seen: list[tuple[str, bytes]] = []
        app.on_publication = lambda topic, sent: seen.append((topic.name, sent.payload))
        await app.publish("room", {"type": "say"}, room="77")
        assert seen == [("77", b'{"type":"say","room":"77"}')]

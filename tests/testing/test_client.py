"""A connection in memory behaves like one on the network."""

from pathlib import Path

from channeld.testing import running

CONFIG = """
channeld: 1
server: {limits: {message_size: 100}}
channels: {echo: {path: /echo, auth: none, messages: {say: {schema: true, route: sender}}}}
"""


async def test_oversize_message_is_refused_and_closes_1009(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(CONFIG)
    async with running(file) as app:
        client = await app.connect("/echo")
        await client.send({"type": "say", "text": "x" * 100})
        error = await client.receive()
        assert (error["code"], error["limit"]) == ("TOO_LARGE", 100)
        assert (await client.wait_closed())[0] == 1009


async def test_nothing_is_received_after_the_end(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(CONFIG)
    async with running(file) as app:
        client = await app.connect("/echo")
        await client.close(1001, "gone")
        await client.send({"type": "say"})
        assert await client.received() == []
        assert app.engine.sessions == {}

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from channeld.lsp.service import Service
from tests.lsp.parts import CHAT

PATIENCE = 100


class Client:
    """A service, and what it sends."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.service = Service(lambda method, params: self.sent.put_nowait((method, params)))

    async def codes(self) -> tuple[str, list[str]]:
        """The next findings: of which file, and which."""
        method, params = await asyncio.wait_for(self.sent.get(), PATIENCE)
        assert method == "textDocument/publishDiagnostics", params
        return Path(params["uri"]).name, [one["code"] for one in params["diagnostics"]]


def run(test: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        client = Client()
        try:
            await test(client)
        finally:
            await client.service.close()

    asyncio.run(main())


def test_an_edit_is_answered_before_the_worker_is_asked(chat: Path) -> None:
    async def test(client: Client) -> None:
        uri = chat.as_uri()
        client.service.opened(uri, CHAT.replace("auth: none", "auth: nobody"), 1)
        assert await client.codes() == ("channels.yaml", ["CH401"])
        await client.service.close()
        client.service.checks.command = (sys.executable, "-c", "")  # it answers nothing
        client.service.changed(uri, [(None, CHAT.replace("rooms: lobby", "roms: lobby"))], 2)
        assert await client.codes() == ("channels.yaml", ["CH103"])

    run(test)


def test_edits_that_came_meanwhile_are_answered_together(chat: Path) -> None:
    async def test(client: Client) -> None:
        uri = chat.as_uri()
        client.service.opened(uri, CHAT, 1)
        for number in range(5):
            client.service.changed(uri, [((0, 11 + number, 0, 11 + number), "1")], 2 + number)
        _, params = await asyncio.wait_for(client.sent.get(), PATIENCE)
        assert params["version"] == 6
        assert [one["code"] for one in params["diagnostics"]] == ["CH102"]

    run(test)


def test_a_scenario_file_is_checked_again_when_its_configuration_changes(chat: Path) -> None:
    async def test(client: Client) -> None:
        path = chat.parent / "chat.test.yaml"
        client.service.opened(path.as_uri(), "hooks: {'a:b': {}}\n" + path.read_text(), 1)
        assert await client.codes() == ("chat.test.yaml", ["CH814"])
        client.service.opened(chat.as_uri(), CHAT.replace("auth: session", "auth: x"), 1)
        assert await client.codes() == ("channels.yaml", ["CH401"])
        client.service.changed(chat.as_uri(), [((0, 0, 0, 0), "# more\n")], 2)
        while await client.codes() != ("chat.test.yaml", ["CH811"]):
            pass

    run(test)


def test_findings_go_with_the_document(chat: Path) -> None:
    async def test(client: Client) -> None:
        news = chat.parent / "schemas/news.json"
        news.write_text('{"type": "nothing"}')
        client.service.opened(chat.as_uri(), CHAT, 1)
        assert await client.codes() == ("news.json", ["CH201"])
        client.service.closed(chat.as_uri())
        assert await client.codes() == ("news.json", [])

    run(test)


def test_files_that_changed_on_the_disk_count(chat: Path) -> None:
    async def test(client: Client) -> None:
        client.service.opened(chat.as_uri(), CHAT, 1)
        (chat.parent / "hooks.py").write_text("def welcome(ctx): ...\n")
        client.service.files_changed()
        assert await client.codes() == ("channels.yaml", ["CH503"])
        (chat.parent / "hooks.py").write_text(
            "def welcome(ctx): ...\ndef no_shouting(ctx, message): ...\n"
        )
        client.service.files_changed()
        assert await client.codes() == ("channels.yaml", [])

    run(test)


def test_what_is_not_open_is_left_alone(chat: Path) -> None:
    async def test(client: Client) -> None:
        client.service.changed(chat.as_uri(), [(None, "a: [")], 2)
        client.service.closed(chat.as_uri())
        assert client.service.projects.buffers == {}

    run(test)


def test_a_mistake_of_ours_goes_to_the_log(chat: Path) -> None:
    async def test(client: Client) -> None:
        client.service.checks.failed("Traceback")
        method, params = await client.sent.get()
        assert (method, params["message"]) == ("window/logMessage", "Traceback")

    run(test)

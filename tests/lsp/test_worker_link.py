import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from channeld.lsp.checking import Checkup
from channeld.lsp.worker_link import Checks

PATIENCE = 100


class Heard:
    """What came of requests, and an event for each."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[str, Checkup | str]] = asyncio.Queue()

    def found(self, name: str, checkup: Checkup) -> None:
        self.queue.put_nowait((name, checkup))

    def failed(self, text: str) -> None:
        self.queue.put_nowait(("", text))

    async def next(self) -> tuple[str, Checkup | str]:
        return await asyncio.wait_for(self.queue.get(), PATIENCE)


def run(test: Callable[[Checks, Heard], Awaitable[None]], command: str = "") -> None:
    async def main() -> None:
        heard = Heard()
        checks = Checks(heard.found, heard.failed)
        if command:
            checks.command = (sys.executable, "-c", command)
        try:
            await test(checks, heard)
        finally:
            await checks.close()

    asyncio.run(main())


def codes(checkup: Checkup | str) -> list[str]:
    assert isinstance(checkup, Checkup)
    return [one.code for one in checkup.findings]


def test_the_latest_text_wins(chat: Path) -> None:
    async def test(checks: Checks, heard: Heard) -> None:
        name = str(chat)
        for text in ("channeld: 2", "channeld: [", "channeld: 1\nchannels: {}"):
            await checks.ask(name, {name: text})
        found, checkup = await heard.next()
        assert (found, codes(checkup)) == (name, ["CH121"])
        assert heard.queue.empty()
        assert not checks.is_waiting

    run(test)


def test_documents_are_checked_side_by_side(chat: Path) -> None:
    async def test(checks: Checks, heard: Heard) -> None:
        names = [str(chat), str(chat.parent / "chat.test.yaml")]
        await asyncio.gather(*(checks.ask(name, {}) for name in names))
        assert sorted([(await heard.next())[0] for _ in names]) == sorted(names)

    run(test)


def test_what_is_dropped_is_not_answered(chat: Path) -> None:
    async def test(checks: Checks, heard: Heard) -> None:
        name = str(chat)
        await checks.ask(name, {})
        checks.drop(name)
        await checks.ask("other/channels.yaml", {"other/channels.yaml": "a: ["})
        assert (await heard.next())[0] == "other/channels.yaml"

    run(test)


def test_a_process_that_ended_is_started_again(chat: Path) -> None:
    async def test(checks: Checks, heard: Heard) -> None:
        name = str(chat)
        await checks.ask(name, {})
        assert checks._answers is not None
        await checks._answers
        checks.command = Checks(heard.found, heard.failed).command
        await checks.ask(name, {name: "channeld: 2"})
        assert codes((await heard.next())[1]) == ["CH102"]

    run(test, "import sys; sys.stdin.buffer.read(8)")


def test_a_mistake_of_ours_is_told(chat: Path) -> None:
    async def test(checks: Checks, heard: Heard) -> None:
        await checks.ask(str(chat), {})
        assert "ZeroDivisionError" in str((await heard.next())[1])

    run(
        test,
        "from channeld.lsp import worker\n"
        "def broken(name, texts): raise ZeroDivisionError\n"
        "worker.answer.__defaults__ = (broken,)\n"
        "worker.main()",
    )

"""The chats of the guides "coming from …" run: what they say of messages, typing and who sent them is so."""

from pathlib import Path

import pytest

from channeld.engine.ports import BackendAnswer
from channeld.plan.plan import RemoteHook
from channeld.testing import running
from tests.docs.blocks import ROOT, blocks

PAGES = sorted((ROOT / "docs" / "guides").glob("coming-from-*.md"))
SECRET = "for-tests-only-0123456789abcdef-0123"
CLAIMS = {"name": "Ann"}


class Agreeing:
    """Backends that say nothing, so that all goes on as declared."""

    async def ask(self, remote: RemoteHook, body: bytes, seconds: float) -> BackendAnswer:
        return BackendAnswer(200, b"{}")

    def note_bad(self, hook: str, reason: str) -> None:
        raise AssertionError(f"{hook}: {reason}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
async def test_the_chat_of_a_guide(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JWT_SECRET", "HOOK_SECRET", "API_KEY"):
        monkeypatch.setenv(f"CHANNELD_{name}", SECRET)
    (text,) = (block.text for block in blocks(page) if block.language == "yaml")
    file = tmp_path / "channels.yaml"
    file.write_text(text)
    async with running(file) as app:
        app.engine.backends = Agreeing()
        has_path = "/rooms/{room}" in text
        path = "/rooms/general" if has_path else "/chat"
        room = {} if has_path else {"room": "general"}
        ann = await app.connect(path, user="ann", claims=CLAIMS)
        bob = await app.connect(path, user="bob", claims=CLAIMS)
        if not has_path:
            for client in (ann, bob):
                await client.send({"type": "subscribe", "room": "general"})
        await ann.send({"type": "message", "text": "hello", "from": "eve", "id": 1, **room})
        assert (await ann.receive("error"))["code"] == "INVALID_MESSAGE"
        await ann.send({"type": "message", "text": "hello", "id": 2, **room})
        assert (await ann.receive("ack"))["id"] == 2
        said = await bob.receive("message")
        assert (said["from"], said["text"]) == ("ann", "hello")
        if "typing:" in text:
            await ann.received()
            await ann.send({"type": "typing", **room})
            assert await bob.receive("typing")
            assert [frame for frame in await ann.received() if frame["type"] == "typing"] == []
        # Who was away gets what was missed.
        carl = await app.connect(path, user="carl", claims=CLAIMS)
        if has_path:
            await carl.send({"type": "history", "id": 3})
        else:
            await carl.send({"type": "subscribe", "room": "general"})
            await carl.send({"type": "history", "room": "general", "id": 3})
        kept = (await carl.receive("history"))["frames"]
        assert [frame["text"] for frame in kept] == ["hello"]


def test_each_guide_says_what_is_missing() -> None:
    assert len(PAGES) == 5
    for page in PAGES:
        text = page.read_text()
        assert "## What is missing" in text
        assert [block for block in blocks(page) if block.language == "js"]

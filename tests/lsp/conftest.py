from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lsp.editor import Editor, editing
from tests.lsp.parts import write


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    """The chat's configuration, with all that belongs to it."""
    return write(tmp_path)


@pytest.fixture
def editor(chat: Path) -> Iterator[Editor]:
    """An editor that works in the chat's folder."""
    with editing(chat.parent) as opened:
        yield opened

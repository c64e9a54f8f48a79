from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lsp.editor import Editor, editing
from tests.lsp.parts import write


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    """The chat's configuration, with all that belongs to it."""
    return write(tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """One for a module's tests, as it is one for all that somebody opens in a day."""
    with editing(tmp_path_factory.mktemp("editor")) as opened:
        yield opened


@pytest.fixture
def editor(server: Editor) -> Iterator[Editor]:
    """An editor in which nothing is open."""
    yield server
    for uri in list(server.opened):
        server.close(uri)

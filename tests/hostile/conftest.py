import threading
from collections.abc import Iterator

import pytest

from tests.hostile.ground import BRISK, SECURE, Ground, opened


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A server with the limits that are shipped."""
    with opened(tmp_path_factory.mktemp("ground")) as ground:
        yield ground


@pytest.fixture(scope="session")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A server that waits a second where others wait ten."""
    with opened(tmp_path_factory.mktemp("brisk"), BRISK) as ground:
        yield ground


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A server with TLS."""
    with opened(tmp_path_factory.mktemp("secure"), SECURE) as ground:
        yield ground


@pytest.fixture(scope="session")
def pause() -> threading.Event:
    """Waiting on it passes time."""
    return threading.Event()

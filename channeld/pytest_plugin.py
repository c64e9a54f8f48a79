"""The pytest fixture `channeld_app`: the engine of the project's `channels.yaml`, in memory, for one test.

Needs pytest-trio. `channeld_config = other.yaml` in pytest's ini file names another configuration.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

__all__ = ["channeld_app", "channeld_running", "pytest_addoption"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini setting `channeld_config`."""
    parser.addini("channeld_config", "the configuration that `channeld_app` runs", default="")


@pytest.fixture
def channeld_running() -> Callable[..., AbstractAsyncContextManager[object]]:
    """`channeld.testing.running`, for tests that run more than one configuration."""
    from channeld.testing import running  # noqa: PLC0415 - a plugin is imported in every test run

    return running


@pytest.fixture
async def channeld_app(request: pytest.FixtureRequest) -> AsyncIterator[object]:
    """A running `channeld.testing.TestApp`."""
    from channeld.testing import running  # noqa: PLC0415 - a plugin is imported in every test run

    name = request.config.getini("channeld_config") or "channels.yaml"
    async with running(Path(request.config.rootpath) / name) as app:
        yield app

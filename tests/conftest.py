"""What all tests share: how many run beside each other, what is collected as garbage, and no clock in property tests."""

import gc
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("channeld", deadline=None)  # a machine under load
settings.load_profile("channeld")


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Three for two cores: a third of a run is waiting, for processes that start, drain and take over."""
    cores = yield
    return cores + (cores + 1) // 2


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """What 17,000 tests are made of lives to the end: looking for garbage in it took a third of the collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()

"""What all tests share: a machine under load must not fail a property test by its clock, nor must chance fail anything.

Property tests try the same examples in every run; `pytest -m hypothesis --hypothesis-seed=N` tries others.
"""

import gc
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "channeld", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
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

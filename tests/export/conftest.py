"""Contracts of the shipped configuration, of a nasty one, and of any text."""

import contextlib
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from channeld.export.contract import Contract
from tests.export.client_kit import Site
from tests.export.client_scenarios import ALONE, Scenario
from tests.export.kit import NASTY, SHIPPED, contract_of_file

ContractOf = Callable[[str], Contract]


@pytest.fixture(scope="session")
def shipped() -> Contract:
    return contract_of_file(SHIPPED)


@pytest.fixture(scope="session")
def nasty() -> Contract:
    return contract_of_file(NASTY)


@pytest.fixture
def contract_of(tmp_path: Path) -> ContractOf:
    """The contract of a configuration's text, without its first line."""

    def make(text: str) -> Contract:
        path = tmp_path / "channels.yaml"
        path.write_text("channeld: 1\n" + textwrap.dedent(text))
        return contract_of_file(path)

    return make


@pytest.fixture(scope="session")
def lasting_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("site"), stack)


@pytest.fixture
def site(scenario: Scenario, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """The one that scenarios share, or one of its own for a scenario that leaves it otherwise than it was."""
    with contextlib.ExitStack() as stack:
        alone = scenario in ALONE
        yield Site(tmp_path, stack) if alone else request.getfixturevalue("lasting_site")

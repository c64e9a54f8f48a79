"""Contracts of the shipped configuration, of a nasty one, and of any text."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from channeld.export.contract import Contract
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

import sys

import pytest
from click.testing import CliRunner

from channeld.cli.main import cli


def test_without_pygls_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channeld.cli.lsp.find_spec", lambda name: None)
    result = CliRunner().invoke(cli, ["lsp"])
    assert result.exit_code == 1
    assert "pip install 'channeld[lsp]'" in result.output
    assert result.stdout == ""


def test_nothing_of_it_is_imported_for_its_help() -> None:
    known = {name for name in sys.modules if name.startswith("pygls")}
    assert "language server" in CliRunner().invoke(cli, ["lsp", "--help"]).output
    assert {name for name in sys.modules if name.startswith("pygls")} == known

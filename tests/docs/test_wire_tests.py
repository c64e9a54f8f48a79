"""The table of wire statements names tests that exist, and leaves out no code, status or reserved type."""

import ast
import functools
import re

import pytest

from channeld.protocol.codes import REFUSALS, CloseCode, ErrorCode
from channeld.protocol.reserved import RESERVED
from tests.docs.blocks import ROOT

TEXT = (ROOT / "docs/wire-tests.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", TEXT)))
ROWS = [
    row
    for row in re.findall(r"^\| (.*) \|$", TEXT, re.MULTILINE)
    if not row.startswith("statement")
]


@functools.cache
def functions_of(file: str) -> set[str]:
    path = ROOT / file
    tree = ast.parse(path.read_text()) if path.exists() else ast.Module([], [])
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("named", NAMED)
def test_a_named_test_exists(named: str) -> None:
    file, _, test = named.partition("::")
    assert test in functions_of(file)


def test_every_statement_names_a_test() -> None:
    heads = ("code | ", "status | ")
    assert [row for row in ROWS if "::test_" not in row and not row.startswith(heads)] == []
    assert len(ROWS) > 70


@pytest.mark.parametrize("file", ["tests/engine/test_wire.py", "tests/system/test_wire.py"])
def test_functions_of_the_wire_are_all_named(file: str) -> None:
    # Those that are about more than one statement, or the same as another, over a socket.
    also = {
        "test_a_token_in_the_query",
        "test_a_token_in_a_header",
        "test_a_token_in_a_subprotocol_which_is_not_sent_back",
        "test_only_pages_of_the_same_origin_may_connect",
        "test_a_first_message_that_is_no_authentication_is_refused",
        "test_bad_json_is_answered_and_the_connection_stays",
        "test_a_fragmented_message_is_one_message",
        "test_frames_in_one_packet_with_the_handshake_are_answered",
    }
    named = {one.partition("::")[2] for one in NAMED if one.startswith(file)}
    written = {test for test in functions_of(file) if test.startswith("test_")}
    assert written - named <= also


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code_has_a_row(code: ErrorCode) -> None:
    assert any(row.startswith(f"`{code}`") for row in ROWS)


@pytest.mark.parametrize("code", CloseCode)
def test_every_close_code_has_a_row(code: CloseCode) -> None:
    assert any(row.startswith(f"{int(code)} |") for row in ROWS)


def test_every_status_and_every_reserved_type_is_spoken_of() -> None:
    statements = " ".join(row.partition(" | ")[0] for row in ROWS)
    assert [status for status in REFUSALS if str(status) not in statements] == []
    assert [kind for kind in RESERVED if f"`{kind}`" not in statements] == []

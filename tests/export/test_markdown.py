import re

import pytest

from channeld.export.contract import Contract
from channeld.export.markdown import markdown
from channeld.protocol.codes import ErrorCode
from tests.export.conftest import ContractOf


@pytest.fixture(params=["shipped", "nasty"])
def page(request: pytest.FixtureRequest) -> str:
    return markdown(request.getfixturevalue(request.param), title="Frames")


def test_every_table_row_has_as_many_cells_as_its_head(page: str) -> None:
    for block in page.split("\n\n"):
        if block.startswith("|"):
            counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(counts) == 1, block


def test_every_link_has_its_anchor(page: str) -> None:
    links = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert links
    assert links <= set(re.findall(r'<a id="([^"]+)">', page))


def test_a_message_says_all_that_its_sender_has_to_know(shipped: Contract) -> None:
    text = markdown(shipped, title="Chat")
    part = text[text.index("#### `announce` (client") :].split("####")[1]
    assert "| `text` | string, not empty, at most 1000 characters | yes |  |" in part
    assert '| `level` | `"info"` or `"warning"` |  | How loud the client should show it. |' in part
    assert (
        '{"type": "announce", "text": "The server restarts at noon.", "level": "warning"}' in part
    )
    assert 'With an `id` it is answered by `ack`. Only with the claim `role` `"admin"`.' in part


def test_a_channel_says_how_to_connect(shipped: Contract) -> None:
    text = markdown(shipped, title="Chat")
    assert "Connect to `ws://127.0.0.1:4000/rooms/{room_id}`." in text
    assert "| `room_id` | string, matches `^[a-z0-9-]{1,64}$` |  |" in text
    assert "A token is needed (`session`: a JWT as `?token=` or as `Authorization: Bearer`" in text
    assert "Rooms to subscribe to: `general`, `topic-*`, at most 20." in text


def test_kinds_of_a_frame_have_a_table_each(nasty: Contract) -> None:
    text = markdown(nasty, title="Nasty")
    part = text[text.index("#### `a.b-c/d:e` (client") :].split("####")[1]
    assert "One of 2 kinds:" in part
    assert '| `kind` | `"one"` | yes |  |' in part
    assert "| `size` | number | yes |  |" in part


def test_each_code_has_a_meaning(contract_of: ContractOf) -> None:
    text = markdown(
        contract_of(
            """
            auth: {k: {type: jwt, algorithms: [HS256], secret: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}
            channels:
              c:
                path: /c
                auth: k
                rooms: {subscribe: {allow: [a], hook: "a:b"}}
            """
        ),
        title="All",
    )
    for code in ErrorCode:
        assert f"| `{code}` | " in text


def test_what_stands_in_code_keeps_its_backticks_and_pipes(contract_of: ContractOf) -> None:
    text = markdown(
        contract_of(
            "channels: {c: {path: '/c/{p}', auth: none, params: {p: {type: string, pattern: '^`a|b$'}}}}"
        ),
        title="x",
    )
    assert "matches ``^`a\\|b$``" in text

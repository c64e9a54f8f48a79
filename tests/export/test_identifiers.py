import io
import itertools
import keyword
import re
import tokenize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.export.contract import Contract
from channeld.export.identifiers import TAKEN, Identifiers, identifier
from channeld.export.python import python
from channeld.export.typescript import client_source

NONE = Contract(addresses=(), channels=(), definitions={})
# Type parameters hide nothing that the clients need, and a keyword of a call nothing at all.
LOCAL = {"C", "F", "K", "S", "T", "U", "Accept"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("room Send message", "RoomSendMessage"),
        ("invoice_paid", "InvoicePaid"),
        ("größe", "Groe"),
        ("a.b-c/d:e", "ABCDE"),
        ("1up", "T1up"),
        ("日本", "Schema"),
        ("", "Schema"),
    ],
)
def test_identifiers(text: str, name: str) -> None:
    assert identifier(text) == name


@given(st.text(max_size=20))
def test_any_text_becomes_an_identifier(text: str) -> None:
    name = identifier(text)
    assert name.isidentifier()
    assert name.isascii()


def test_a_taken_name_gets_a_number() -> None:
    names = Identifiers()
    assert [names.give("a b"), names.give("aB"), names.give("a-b")] == ["AB", "AB2", "AB3"]


def test_words_of_the_targets_are_taken() -> None:
    names = Identifiers()
    given = [names.give(word) for word in ("error", "none", "channel map", "typed dict", "paths")]
    assert given == ["Error2", "None2", "ChannelMap2", "TypedDict2", "Paths"]
    assert not any(keyword.iskeyword(name) for name in given)


def test_what_the_typescript_client_names_is_taken() -> None:
    code = re.sub(
        r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"|`[^`]*`", "", client_source("client.ts"), flags=re.DOTALL
    )
    names = set(re.findall(r"(?<![.\w])[A-Z]\w*", code))
    assert {"Response", "Transport"} <= names <= TAKEN | LOCAL


def test_what_the_python_client_names_is_taken() -> None:
    code = io.StringIO(python(NONE, client=True))
    tokens = [token.string for token in tokenize.generate_tokens(code.readline)]
    names = {
        name
        for before, name in itertools.pairwise(tokens)
        if before != "." and name.isidentifier() and name[0].isupper()
    }
    assert {"Present", "OSError"} <= names <= TAKEN | LOCAL


def test_a_name_can_be_taken_as_it_is() -> None:
    names = Identifiers()
    names.take("Room")
    assert names.has("Room")
    assert names.give("room") == "Room2"

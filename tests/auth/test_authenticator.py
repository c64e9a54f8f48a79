import json

import pytest

from channeld.auth.authenticator import (
    Authenticator,
    CannotMint,
    CompiledAuth,
    accept_user,
    is_time,
    read_claims,
)
from channeld.hooks import User
from channeld.schema.compiled import compiled


def test_a_type_says_only_what_is_its_own() -> None:
    plain = Authenticator[None](None)
    assert plain.verifier(CompiledAuth(), None, lambda *_: True) is None
    assert (plain.user_template(), plain.hook(), plain.key_source()) == (None, None, None)
    assert list(plain.compare("s", None)) == []
    assert plain.claims_for("ann", now=1.5, lifetime=60) == {"sub": "ann", "iat": 1, "exp": 61}
    assert plain.claims_until(5.0) == {}
    with pytest.raises(CannotMint):
        plain.mint("s", {})
    with pytest.raises(NotImplementedError):
        plain.words()


@pytest.mark.parametrize("id", ["", "x" * 129, None, 5])
def test_a_user_id_has_1_to_128_characters(id: str) -> None:
    assert accept_user(None, User(id)) == "user id is not a string of 1 to 128 characters"


def test_claims_are_held_against_the_schema() -> None:
    schema = compiled({"required": ["name"]})
    assert accept_user(schema, User("ann", {"name": "Ann"})) is None
    assert accept_user(schema, User("ann")) == 'claims refused at /: required ("name" is required)'


def test_no_value_of_a_claim_is_told() -> None:
    schema = compiled({"properties": {"name": {"enum": ["Bob"]}}})
    assert accept_user(schema, User("ann", {"name": "Ann"})) == "claims refused at /name: enum"


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf"), 2**53 + 2])
def test_what_is_no_time(value: object) -> None:
    assert not is_time(value)
    assert is_time(1.5)


@pytest.mark.parametrize(
    "payload",
    [
        '{"sub": "ann", "exp": 1e3, "level": -0, "of": [1.5, null, true]}',
        '{"a": 18446744073709551616, "b": -9223372036854775809}',
        '{"a": 1e400}',
        r'{"a": "\ud800", "b": "\ud83d\ude00"}',
        '{"a": 1, "a": 2}',
        "[" * 300 + "]" * 300,
        "null",
    ],
)
def test_claims_are_read_as_python_reads_json(payload: str) -> None:
    assert repr(read_claims(payload.encode())) == repr(json.loads(payload))


@pytest.mark.parametrize("payload", [b'{"a": NaN}', b"{", b'{"a": "\xff"}', b""])
def test_what_is_not_json_has_no_claims(payload: bytes) -> None:
    with pytest.raises(ValueError):
        read_claims(payload)

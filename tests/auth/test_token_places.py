"""Where a token is looked for in a handshake, and the words for it."""

import attrs
import pytest

from channeld.auth.token_places import (
    carry,
    compare_places,
    find_token,
    placed,
    security_scheme,
    words_for,
)
from channeld.hooks import Request

REQUEST = Request(
    path="/",
    query={"token": "q", "t": "named", "empty": ""},
    headers={"authorization": "bearer h"},
    cookies={"sid": "c"},
    subprotocols=("channeld", "bearer.s"),
)


@pytest.mark.parametrize(
    ("token_from", "token"),
    [
        (["query"], "q"),
        (["query:t"], "named"),
        (["header"], "h"),
        (["cookie:sid"], "c"),
        (["subprotocol"], "s"),
        (["message"], None),
        (["query:empty", "header"], "h"),
        (["cookie:none", "query:none"], None),
    ],
)
def test_tokens_are_looked_for_in_order(token_from: list[str], token: str | None) -> None:
    assert find_token(token_from, REQUEST) == token


@pytest.mark.parametrize("authorization", ["Basic h", "Bearer", "bearer ", ""])
def test_other_authorization_is_no_token(authorization: str) -> None:
    request = attrs.evolve(REQUEST, headers={"authorization": authorization})
    assert find_token(["header"], request) is None


def test_words_name_the_parameter_and_the_cookie() -> None:
    assert words_for(["query", "query:jwt", "cookie:sid"]) == (
        "as `?token=` or as `?jwt=` or in the cookie `sid`"
    )
    assert placed("query") == ("query", "token")


def test_a_place_that_goes_breaks_and_a_new_one_does_not() -> None:
    found = list(compare_places("s", ["query", "header"], ["header", "cookie:sid"]))
    assert [(one.level, one.message) for one in found] == [
        ("breaking", "`s` no longer looks for the token in the query (`?token=`)"),
        ("safe", "`s` also looks for the token in the cookie `sid`"),
    ]


@pytest.mark.parametrize("place", ["query", "query:jwt", "header", "cookie:sid", "subprotocol"])
def test_a_token_that_is_put_somewhere_is_found_there(place: str) -> None:
    carried = carry([place], "secret")
    cookies = dict(text.split("=") for text in [carried.headers.get("cookie", "a=b")])
    request = Request(
        path="/",
        query=carried.query,
        headers=carried.headers,
        cookies=cookies,
        subprotocols=carried.subprotocols,
    )
    assert find_token([place], request) == "secret"
    assert not carried.in_frame
    assert security_scheme(place) is not None
    assert "secret" not in repr(carried)


def test_a_frame_brings_the_token_afterwards() -> None:
    assert carry(["message"], "secret").in_frame
    assert security_scheme("message") is None
    assert carry([], "secret").query == {"token": "secret"}

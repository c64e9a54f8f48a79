from typing import Any

import pytest

from channeld.api import forms
from channeld.api.problems import Problem

EVENT = {"type": "note"}
ROOM: dict[str, Any] = {"channel": "c", "to": "room", "room": "r", "event": EVENT}


@pytest.mark.parametrize(
    "body",
    [
        ROOM,
        {"channel": "c", "to": "user", "user": "ann", "event": {"type": "x", "a": [1]}},
        {"channel": "*", "to": "global", "event": EVENT, "except": "id", "idempotency_key": "k"},
    ],
)
def test_what_may_be_published(body: dict[str, Any]) -> None:
    assert not forms.violations(forms.PUBLISH, body)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"to": "nobody"}, "/to"),
        ({"room": ""}, "/room"),
        ({"room": "x" * 129}, "/room"),
        ({"room": "a\nb"}, "/room"),
        ({"user": "ann"}, "/user"),
        ({"to": "global"}, "/room"),
        ({"event": {}}, "/event"),
        ({"event": {"type": 1}}, "/event/type"),
        ({"event": []}, "/event"),
        ({"idempotency_key": 1}, "/idempotency_key"),
        ({"idempotency_key": ""}, "/idempotency_key"),
        ({"extra": 1}, ""),
    ],
)
def test_violations_say_where(change: dict[str, Any], path: str) -> None:
    found = forms.violations(forms.PUBLISH, {**ROOM, **change})
    assert path in [one.path for one in found]


@pytest.mark.parametrize("field", ["channel", "to", "room", "event"])
def test_what_is_required(field: str) -> None:
    body = {name: value for name, value in ROOM.items() if name != field}
    assert any(field in one.message for one in forms.violations(forms.PUBLISH, body))


@pytest.mark.parametrize("code", [1000, 1012, 1014, 3000, 4410, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    assert not forms.violations(forms.DISCONNECT, {"user": "ann", "code": code})


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2000, 2999, 5000, 4410.5, "4410"])
def test_codes_that_may_not(code: object) -> None:
    found = forms.violations(forms.DISCONNECT, {"user": "ann", "code": code})
    assert [one.path for one in found] == ["/code"]


@pytest.mark.parametrize("target", [{}, {"user": "a", "connection": "b"}])
def test_exactly_one_target(target: dict[str, str]) -> None:
    assert forms.violations(forms.DISCONNECT, target)
    assert forms.violations(forms.MEMBERSHIP, {**target, "channel": "c", "room": "r"})


def test_a_reason_fits_into_a_close_frame() -> None:
    assert not forms.violations(forms.DISCONNECT, {"user": "a", "reason": "x" * 123})
    found = forms.violations(forms.DISCONNECT, {"user": "a", "reason": "€" * 42})
    assert [one.path for one in found] == ["/reason"]


def test_a_batch_is_bounded() -> None:
    one = {"publish": ROOM}
    assert not forms.violations(forms.BATCH, [one] * 1000)
    assert forms.violations(forms.BATCH, [one] * 1001)
    assert forms.violations(forms.BATCH, [{"publish": ROOM, "also": 1}])


def test_a_body_is_read() -> None:
    assert forms.read_body(b'{"user":"ann"}', forms.DISCONNECT) == {"user": "ann"}


def test_a_body_of_another_form_names_the_first_place() -> None:
    with pytest.raises(Problem) as caught:
        forms.read_body(b'{"user":"ann","code":1}', forms.DISCONNECT)
    assert caught.value.status == 400
    assert "`/code` must be at least 1000" in caught.value.detail


def test_a_query_has_defaults() -> None:
    assert forms.read_query(b"", forms.PAGE_QUERY) == {"limit": 100}
    assert forms.read_query(b"limit=7&after=%2F%20x", forms.PAGE_QUERY) == {
        "limit": 7,
        "after": "/ x",
    }


@pytest.mark.parametrize(
    "query",
    [
        b"limit=0",
        b"limit=1001",
        b"limit=-1",
        b"limit=x",
        b"limit=",
        b"limit=1.5",
        b"limit=%C2%B2",
        b"limit=99999999999999999999999999",
        b"limit=1&limit=2",
        b"nosuch=1",
        b"after=%ff",
        b"after=%zz",
        b"after=%2",
        b"after=\xc3\xa4",
        b"after=\xff",
        b"after=" + b"x" * 513,
        b"&".join(b"a%d=1" % n for n in range(20)),
    ],
)
def test_queries_that_are_refused(query: bytes) -> None:
    with pytest.raises(Problem) as caught:
        forms.read_query(query, forms.PAGE_QUERY)
    assert caught.value.status == 400

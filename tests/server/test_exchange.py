"""Refusals as problem documents, and fields that are lists."""

import pytest

from channeld.server.exchange import ALWAYS, Answer, accepts, refuse, say, tokens


def test_a_status_without_a_title_of_its_own_has_its_phrase() -> None:
    assert b"Internal Server Error" in refuse(500, "x").response


def test_more_fields_stand_in_the_head() -> None:
    head, _, body = refuse(405, "x", "Allow: GET").response.partition(b"\r\n\r\n")
    assert b"\r\nAllow: GET\r\n" in head
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head


@pytest.mark.parametrize("answer", [refuse(404, "x"), refuse(431, "x"), say(200, {})])
def test_every_answer_is_private_and_what_it_says_it_is(answer: Answer) -> None:
    head = answer.response.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert [line for line in ALWAYS if line not in head] == []


def test_without_its_body_the_head_stays_the_same() -> None:
    whole = refuse(404, "No channel has this path")
    assert whole.response.startswith(whole.without_body().response)
    assert whole.without_body().response.endswith(b"\r\n\r\n")


def test_a_short_answer_may_not_be_kept() -> None:
    answer = say(200, {"broker": "away"})
    head, _, body = answer.response.partition(b"\r\n\r\n")
    assert (answer.status, body) == (200, b'{"broker": "away"}')
    assert b"\r\nCache-Control: no-store\r\n" in head
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head


def test_more_lines_change_nothing_else() -> None:
    plain = refuse(404, "x")
    told = plain.with_lines(["Vary: Origin"])
    assert told.response.replace(b"Vary: Origin\r\n", b"") == plain.response
    assert told.response.startswith(b"HTTP/1.1 404 Not Found\r\nVary: Origin\r\n")


def test_a_list_has_no_empty_members() -> None:
    assert tokens(" a, ,b,") == ["a", "b"]
    assert tokens("") == []


@pytest.mark.parametrize(
    ("field", "does"),
    [
        ("text/event-stream", True),
        ("text/html, Text/Event-Stream ; charset=utf-8;q=0.1", True),
        ("text/event-stream;q=0, text/event-stream;q=1", True),
        ("text/event-stream;q=0", False),
        ("text/html, text/event-stream; q=0.000", False),
        ("text/event-streams, x-text/event-stream", False),
        ("*/*", False),
        ("text/*", False),
        ("", False),
    ],
)
def test_a_media_type_is_accepted_by_its_name_and_a_weight(field: str, does: bool) -> None:
    assert accepts(field, "text/event-stream") is does

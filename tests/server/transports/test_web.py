"""What the transports over plain HTTP share."""

import json

import pytest

from channeld.server.exchange import KEEP_ALIVE, answer
from channeld.server.transports.web import problem_of, query_names, query_of, web_fields


def test_an_answer_is_whole_and_the_last() -> None:
    assert answer(200, b"[]", "application/json", "X: y") == (
        b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\nConnection: close\r\n\r\n[]"
    )


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body_and_say_nothing_of_one(status: int) -> None:
    assert b"Content-" not in answer(status, b"", "")


@pytest.mark.parametrize(
    ("code", "status"),
    [(4401, 401), (4403, 403), (4950, 403), (1013, 503), (1012, 503), (1011, 500)],
)
def test_a_close_code_before_the_stream_is_a_status(code: int, status: int) -> None:
    error = {"type": "error", "code": "X", "message": "words", "ref": "r"}
    found, data = problem_of(code, "", error)
    problem = json.loads(data.partition(b"\r\n\r\n")[2])
    assert found == status
    assert (problem["status"], problem["code"], problem["detail"]) == (status, "X", "words")
    assert problem["ref"] == "r"


def test_an_origin_is_echoed_and_trusted_with_cookies_only_where_it_is_listed() -> None:
    fields = {"origin": "https://a.example"}
    lines = web_fields(fields, is_listed=False)
    assert "Access-Control-Allow-Origin: https://a.example" in lines
    assert "Access-Control-Allow-Credentials: true" not in lines
    assert "Access-Control-Allow-Credentials: true" in web_fields(fields, is_listed=True)
    assert not [line for line in web_fields({}, is_listed=True) if line.startswith("Access")]


def test_a_query_is_read_as_it_stands() -> None:
    assert query_of("/x?a=1&a=%32&b") == [("a", "1"), ("a", "2"), ("b", "")]
    assert query_names("/x") == set()


def test_an_answer_closes_its_connection_unless_told_otherwise() -> None:
    assert b"\r\nConnection: close\r\n" in answer(200, b"", "text/plain")
    kept = answer(200, b"", "text/plain", KEEP_ALIVE)
    assert b"Connection: close" not in kept
    assert b"\r\nConnection: keep-alive\r\n" in kept

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.telemetry.lines import (
    ConsoleRenderer,
    as_json,
    cleaned,
    escaped,
    one_line,
    stamped,
    usual_line,
    with_traceback,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


def clean(**fields: object) -> dict[str, Any]:
    return dict(cleaned(None, "info", {"event": "e", **fields}))


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "tokens",
        "authorization",
        "Cookie",
        "set-cookie",
        "secret",
        "key",
        "api_key",
        "x_token",
    ],
)
def test_fields_with_a_secret_name_are_redacted(name: str) -> None:
    assert clean(**{name: "canary"})[name] == "[redacted]"


def test_a_number_of_keys_is_no_secret() -> None:
    assert clean(keys=3)["keys"] == 3


def test_secrets_within_a_value_are_redacted() -> None:
    assert clean(request={"headers": {"authorization": "canary"}})["request"] == {
        "headers": {"authorization": "[redacted]"}
    }


@pytest.mark.parametrize("name", ["path", "url", "target"])
def test_paths_lose_their_query(name: str) -> None:
    assert clean(**{name: "/rooms/a?token=canary#x"})[name] == "/rooms/a"


@pytest.mark.parametrize(
    "text",
    [
        f"bad token {JWT}",
        "Authorization: Bearer canary-123",
        "bearer.canary",
        "GET /chat?access_token=canary&x=1",
        "redis://user:canary@cache:6379/0",
        "x" * 250 + JWT,
    ],
)
def test_what_looks_like_a_token_is_redacted_in_any_text(text: str) -> None:
    shown = clean(reason=text)["reason"]
    assert "canary" not in shown
    assert JWT[:20] not in shown


def test_a_token_in_a_traceback_is_redacted() -> None:
    fields = with_traceback(None, "error", {"event": "e", "exception": ValueError(f"no {JWT}")})
    assert cleaned(None, "error", fields)["exception"] == "ValueError: no [redacted]\n"


def test_values_are_cut() -> None:
    shown = clean(reason="a" * 1000)["reason"]
    assert len(shown) == 256
    assert shown.endswith("…")


def test_deep_and_wide_values_are_cut() -> None:
    deep = clean(frame={"a": {"b": {"c": {"d": 1}}}})["frame"]
    assert deep == {"a": {"b": {"c": "{'d': 1}"}}}
    assert len(clean(frame=list(range(1000)))["frame"]) == 32


@pytest.mark.parametrize("number", [2**70, -(2**70)])
def test_a_number_that_json_cannot_hold_is_text(number: int) -> None:
    assert clean(n=number)["n"] == str(number)


@pytest.mark.parametrize(
    "hostile", ["a\r\nb", "\x1b[2J", "\x9b2J", "\u2028x", "\u202ex", "\x7f", "\ud800"]
)
def test_no_value_breaks_a_line(hostile: str) -> None:
    fields = clean(user=hostile, reason=f"forged {hostile}")
    for line in (
        as_json(None, "info", dict(fields)),
        ConsoleRenderer(colour=False)(None, "info", fields),
    ):
        assert line.isprintable()


@given(st.dictionaries(st.sampled_from(["user", "path", "reason"]), st.text(), min_size=1))
@settings(max_examples=100)
def test_json_lines_are_printable_json_whatever_the_values(fields: dict[str, str]) -> None:
    line = as_json(None, "info", clean(**fields))
    assert line.isprintable()
    assert set(json.loads(line)) == {"event", *fields}


def test_a_traceback_cannot_forge_a_console_line() -> None:
    fields = clean(exception="ValueError: x\n12:00:00 info server_stopped\r\x1b[A")
    first, *below = ConsoleRenderer(colour=False)(None, "error", fields).split("\n")
    assert first.split() == ["info", "e"]
    assert all(line.startswith("    | ") and line.isprintable() for line in below)


@given(st.text())
@settings(max_examples=100)
def test_one_line_gives_the_value_back(text: str) -> None:
    line = one_line({"text": text})
    assert line.isprintable()
    assert json.loads(line) == {"text": text}


def test_escapes_beyond_the_basic_plane_are_pairs() -> None:
    assert escaped("\U000e0001") == "\\udb40\\udc01"


def processed(event: str, fields: dict[str, object]) -> str:
    line = {"event": event, **fields, "level": "info"}
    return as_json(None, "info", cleaned(None, "info", stamped(None, "info", line)))


def test_a_connections_line_is_a_usual_one() -> None:
    fields = {
        "connection": "c1",
        "user": None,
        "address": "127.0.0.1",
        "code": 1000,
        "seconds": 0.5,
    }
    assert usual_line("connection_closed", "info", fields) is not None


names = st.sampled_from(["user", "reason", "path", "key", "exception", "exc_info", "level"])
texts = st.text(max_size=20) | st.sampled_from([JWT, "a=b", "a@b", "Bearer x", "\x7f", "x" * 300])
numbers = st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none()


@given(st.dictionaries(names, texts | numbers | st.lists(texts, max_size=2), max_size=4))
@settings(deadline=None)
def test_a_usual_line_is_what_the_processors_make(fields: dict[str, object]) -> None:
    line = usual_line("handshake_refused", "info", fields)
    if line is not None:
        wanted = processed("handshake_refused", fields)
        assert line.partition(',"level"')[2] == wanted.partition(',"level"')[2]
        assert json.loads(line)["timestamp"].endswith("Z")

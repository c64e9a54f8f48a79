"""Secrets are covered in what may be shown."""

import pytest

from channeld.config.redact import redacted
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report

TEXT = """\
auth:
  a: {secret: hunter2, claims: {type: object}}
  b:
    secret: [hunter2, "${KEY}"]
    tokens:
      - {token: hunter2, user: ann}
  c: {secret: {file: key.pem}}
  d:
    secret: |
      hunter2
      hunter2
api:
  keys: [hunter2, '${X:-hunter2}']
broker: {redis: {url: "redis://ann:hunter2@host:6379"}}
webhooks:
  - {url: https://example.com, secret: hunter2}
channels:
  secret: {path: /secret}
"""


def test_secrets_are_stars_and_nothing_else_changes() -> None:
    text = redacted(TEXT, parse(TEXT, "c.yaml", Report()))

    assert "hunter2" not in text
    without = TEXT.replace("ann:hunter2", "").replace("secret: |", "secret: ")
    assert text.replace("*", "") == without.replace("hunter2", "")
    assert [len(line) for line in text.splitlines()] == [len(line) for line in TEXT.splitlines()]


def test_a_secret_in_the_query_of_a_url_is_covered() -> None:
    text = "webhooks: [{url: 'https://example.com/hook?room=a&access_token=hunter2&x=1#top'}]\n"
    hidden = text.replace("hunter2", "*******")
    assert redacted(text, parse(text, "c.yaml", Report())) == hidden


def test_a_single_api_key_is_covered() -> None:
    text = "api: {keys: hunter2}"

    assert redacted(text, parse(text, "c.yaml", Report())) == "api: {keys: *******}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a: {secret: hunter2, b: [", "a: {secret: ******** ** *"),
        ("keys:\n  - hunter2\n  - two # x\na: [", "keys:\n  * *******\n  * *** * *\na: ["),
        ("secret: ${KEY}\na: [", "secret: ${KEY}\na: ["),
        ("url: redis://:hunter2@host\na: [", "url: redis://********@host\na: ["),
        ("no: hunter2\na: [", "no: hunter2\na: ["),
    ],
)
def test_without_a_tree_what_looks_like_a_secret_is_covered(text: str, shown: str) -> None:
    assert redacted(text, None) == shown


def test_a_long_secret_is_covered_where_an_alias_repeats_it_from() -> None:
    text = "x-key: &key hunter2-hunter2-hunter2\nauth: {a: {secret: *key}}\n"

    shown = redacted(text, parse(text, "c.yaml", Report()))

    assert shown == "x-key: &key ***********************\nauth: {a: {secret: ****}}\n"


@pytest.mark.parametrize(
    "text",
    [
        "auth: {a: {secret: x, secret: hunter2}}",
        "auth: {a: {secrt: hunter2, Secret: [hunter2], passwrd: hunter2}}",
        "auth: {a: {secret: {value: hunter2}, secrets: [[hunter2]]}}",
        "auth: {a: {tokens: [{tokn: hunter2, user: u}, hunter2]}}",
        "auth: {a: {secret: 'abc${hunter2'}}",
        "api: {kyes: [hunter2], key: hunter2}",
        "webhooks: [{scret: hunter2}]",
        "broker: {redis: {pasword: hunter2}}",
        "- {token: hunter2, user: ann}",
    ],
)
def test_a_secret_is_covered_where_its_key_is_wrong(text: str) -> None:
    assert "hunter2" not in redacted(text, parse(text, "c.yaml", Report()))


@pytest.mark.parametrize(
    "text",
    [
        "auth: {a: {token_from: [query], audience: tokens, secret: {file: keys.pem}}}",
        "api: {bind: '127.0.0.1:1'}",
        "channels: {c: {secret: no, token: no}}",
        "webhooks: [{url: 'https://token.example/'}]",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert redacted(text, parse(text, "c.yaml", Report())) == text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a-b,c{d}[e]", "***********"),
        ("'it''s -- x'", "'***** ** *'"),
        ('"${KEY:-a-b}c-d"', '"${KEY:-***}***"'),
        ("${KEY}", "${KEY}"),
    ],
)
def test_punctuation_of_a_secret_is_masked_too(written: str, shown: str) -> None:
    text = f"auth:\n  a:\n    secret: {written}\n"
    assert redacted(text, parse(text, "c.yaml", Report())) == text.replace(written, shown)

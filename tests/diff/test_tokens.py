import pytest

from tests.diff.kit import codes, compared

JWT = """\
channeld: 1
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: ${SECRET}
    audience: chat
channels:
  room: {path: /room, auth: session, events: {news: {}}}
"""


def jwt(*lines: str, without: str = "") -> str:
    more = "".join(f"    {line}\n" for line in lines)
    return JWT.replace(f"    {without}\n" if without else "\0", "").replace(
        "channels:", more + "channels:"
    )


B, D, S = ("D403", "breaking"), ("D403", "dangerous"), ("D404", "safe")


@pytest.mark.parametrize(
    ("line", "there", "back"),
    [
        ("issuer: https://id.example.com", [B], [S]),
        ("expiry: optional", [S], [B]),
        ("on_expiry: ignore", [S], [B]),
        ("leeway: 10s", [D], [S]),
        ("user: 'u-{claims.sub}'", [("D412", "dangerous")], [("D412", "dangerous")]),
        ("claims: {type: object, required: [name]}", [B], [S]),
        ("token_from: [query, header, subprotocol]", [("D407", "breaking")], [("D407", "safe")]),
    ],
)
def test_one_line_more_and_one_less(
    line: str, there: list[tuple[str, str]], back: list[tuple[str, str]]
) -> None:
    assert codes(JWT, jwt(line)) == there
    assert codes(jwt(line), JWT) == back


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("audience: chat", "audience: [chat, app]", [S]),
        ("audience: [chat, app]", "audience: chat", [B]),
        ("audience: chat", "audience: app", [B, S]),
        ("algorithms: [HS256]", "algorithms: [HS256, HS384]", [S]),
        ("issuer: https://a.example", "issuer: https://b.example", [B]),
    ],
)
def test_one_line_for_another(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    key = old.partition(":")[0]
    base = next((line for line in JWT.splitlines() if line.strip().startswith(key)), "").strip()
    assert codes(jwt(old, without=base), jwt(new, without=base)) == expected


SECRETS = ["the-first-secret-that-is-long-enough", "another-secret-that-is-long-enough-too"]


def test_secrets_are_compared_and_never_shown() -> None:
    old, new = (JWT.replace("${SECRET}", secret) for secret in SECRETS)
    text = compared(old, new)
    assert "D413" in text
    assert not any(secret in text for secret in SECRETS)
    rotated = JWT.replace("${SECRET}", f"[{', '.join(reversed(SECRETS))}]")
    assert codes(old, rotated) == []


def test_tokens_that_are_gone_are_counted() -> None:
    def text(*tokens: str) -> str:
        entries = ", ".join(f"{{token: {token}, user: ann}}" for token in tokens)
        return (
            f"channeld: 1\nauth: {{session: {{type: tokens, tokens: [{entries}]}}}}\n"
            "channels: {room: {path: /room, auth: session, events: {news: {}}}}\n"
        )

    assert codes(text(*SECRETS), text(SECRETS[0])) == [("D413", "dangerous")]
    assert codes(text(SECRETS[0]), text(*SECRETS)) == []

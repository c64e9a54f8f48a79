import pytest

from tests.diff.kit import BASE, codes, diff, instead

AUTH = """\
auth:
  session: {type: hook, hook: chat.hooks:who}
  partners: {type: hook, hook: chat.hooks:partner}
"""
HOOKED = instead("auth: none", "auth: session") + AUTH


def asking(auth: str) -> str:
    return instead("auth: none", f"auth: {auth}") + AUTH


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("none", "session", [("D401", "breaking")]),
        ("{use: session, optional: true}", "session", [("D401", "breaking")]),
        ("none", "{use: session, optional: true}", [("D401", "dangerous")]),
        ("session", "{use: session, optional: true}", [("D404", "safe")]),
        ("session", "none", [("D404", "safe")]),
        ("session", "[session, partners]", [("D404", "safe")]),
        ("session", "partners", [("D402", "breaking"), ("D404", "safe")]),
        ("[session, partners]", "[partners, session]", [("D411", "dangerous")]),
    ],
)
def test_who_may_connect(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    assert sorted(codes(asking(old), asking(new))) == expected


def test_what_is_relaxed_is_marked_as_security() -> None:
    assert [change.security for change in diff(asking("session"), asking("none"))] == [True]


def test_claims_that_are_no_longer_checked_are_a_relaxation() -> None:
    claims = "hook: chat.hooks:who, claims: {type: object, required: [a], properties: {a: {type: string}}}"
    checked = HOOKED.replace("hook: chat.hooks:who", claims)
    [change] = diff(checked, HOOKED)
    assert (change.code, change.level, change.security) == ("D404", "safe", True)
    assert codes(HOOKED, checked) == [("D403", "breaking")]
    [change] = diff(
        checked, checked.replace(", required: [a], properties: {a: {type: string}}", "")
    )
    assert (change.code, change.level, change.security) == ("D404", "safe", True)


def test_claims_that_are_no_longer_hidden() -> None:
    claims = "hook: chat.hooks:who, claims: {type: object, properties: {a: {type: string, x-sensitive: true}}}"
    old = HOOKED.replace("hook: chat.hooks:who", claims)
    assert codes(old, old.replace(", x-sensitive: true", "")) == [("D705", "safe")]


def test_an_authenticator_with_another_name_is_the_same() -> None:
    new = HOOKED.replace("session", "users")
    assert codes(HOOKED, new) == []


def test_another_hook_or_type_of_an_authenticator() -> None:
    assert codes(HOOKED, HOOKED.replace("chat.hooks:who", "chat.hooks:whom")) == [
        ("D701", "dangerous")
    ]
    other = HOOKED.replace(
        "{type: hook, hook: chat.hooks:who}",
        "{type: tokens, tokens: [{token: a-token-that-is-long-enough-32ch, user: ann}]}",
    )
    assert codes(HOOKED, other) == [("D402", "breaking")]


def test_an_authenticator_that_no_channel_uses_is_passed_over() -> None:
    assert codes(HOOKED, HOOKED.replace("chat.hooks:partner", "chat.hooks:other")) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("any", "same-origin", [("D405", "breaking")]),
        ("same-origin", "any", [("D406", "safe")]),
        ("same-origin", "[https://a.example]", [("D405", "breaking"), ("D406", "safe")]),
        ("[https://x.a.example]", "['https://*.a.example']", [("D406", "safe")]),
        ("['https://*.a.example']", "[https://x.a.example]", [("D405", "breaking")]),
        ("[https://a.example]", "[https://a.example, https://b.example]", [("D406", "safe")]),
    ],
)
def test_origins(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    server = "server: {allowed_origins: %s}\n"
    assert sorted(codes(BASE + server % old, BASE + server % new)) == expected


def rooms(value: str) -> str:
    return instead('rooms: "{params.id}"', f"rooms: {value}")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("{join: [a]}", "{join: [a, b]}", [("D606", "dangerous")]),
        ("{join: [a, b]}", "{join: [a]}", [("D606", "breaking")]),
        ("{join: [a]}", "{join: [a], subscribe: {allow: [b]}}", [("D410", "safe")]),
        ("{join: [a], subscribe: {allow: [b]}}", "{join: [a]}", [("D409", "breaking")]),
        ("{subscribe: {allow: [news]}}", "{subscribe: {allow: ['n*']}}", [("D410", "safe")]),
        ("{subscribe: {allow: ['n*']}}", "{subscribe: {allow: [news]}}", [("D409", "breaking")]),
        (
            "{subscribe: {allow: [b], max: 9}}",
            "{subscribe: {allow: [b], max: 8}}",
            [("D501", "breaking")],
        ),
        ("{subscribe: {allow: [b], max: 9}}", "{subscribe: {allow: [b]}}", [("D507", "safe")]),
        (
            "{subscribe: {allow: [b], hook: 'chat.hooks:may'}}",
            "{subscribe: {hook: 'chat.hooks:may'}}",
            [("D410", "safe")],
        ),
        (
            "{subscribe: {hook: 'chat.hooks:may'}}",
            "{subscribe: {allow: [b], hook: 'chat.hooks:may'}}",
            [("D409", "breaking")],
        ),
        (
            "{subscribe: {allow: [b]}}",
            "{subscribe: {allow: [b], hook: 'chat.hooks:may'}}",
            [("D701", "dangerous")],
        ),
    ],
)
def test_rooms(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    old, new = (rooms(each).replace("route: room", "route: global") for each in (old, new))
    assert codes(old, new) == expected

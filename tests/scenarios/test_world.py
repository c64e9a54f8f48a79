import pytest

from channeld.scenarios.outcome import Status
from channeld.scenarios.suite import Options, Runs, read_text
from tests.scenarios.kit import outcome

CONFIG = """\
channeld: 1
server:
  allowed_origins: [https://good.example]
  limits: {connections: 3, connections_per_address: 2}
  trusted_proxies: [127.0.0.1]
auth:
  keys: {type: tokens, token_from: [%s], tokens: [{token: "sesame and more", user: ali}]}
channels: {cave: {path: /cave, auth: keys, events: {gold: {}}}}
"""


def let_in(tmp_path: object, where: str, clients: str) -> list[str]:
    """Headlines and labels of what went wrong."""
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "channels.yaml").write_text(CONFIG % where)
    text = f"scenarios: [{{name: it, clients: {{{clients}}}, steps: []}}]"
    result = Runs(Options()).run(read_text(text, str(folder / "it.test.yaml")))
    assert not result.is_broken, result.diagnostics
    return [f"{one.headline}: {one.label}" for one in result.outcomes[0].problems]


@pytest.mark.parametrize(
    "where", ["query", "'query:key'", "header", "'cookie:sid'", "subprotocol", "message"]
)
def test_a_token_goes_where_it_is_looked_for(tmp_path: object, where: str) -> None:
    ali = "ali: {path: /cave, token: sesame and more%s}"
    if where not in ("'cookie:sid'", "header", "subprotocol"):
        assert let_in(tmp_path, where, ali % "") == []
    if where != "message":
        assert let_in(tmp_path, where, "ali: {path: /cave, token: closed, refused: 4401}") == []


@pytest.mark.parametrize(
    ("clients", "problems"),
    [
        ("a: {path: /cave, user: a, origin: 'https://good.example'}", []),
        ("a: {path: /cave, user: a, origin: 'https://evil.example', refused: 403}", []),
        ("a: {path: /cave, user: a, headers: {upgrade: h2c}, refused: 426}", []),
        ("a: {path: /cave, user: a, headers: {sec-websocket-version: '8'}, refused: 426}", []),
        ("a: {path: /cave, user: a, headers: {connection: close}, refused: 400}", []),
        ("a: {path: /nave, user: a, refused: 404}", []),
        ("a: {path: /cave, user: a}, b: {path: /cave, user: b}, c: {path: /cave, user: c, refused: 429}", []),
        (
            ("a: {path: /cave, user: a}, b: {path: /cave, user: b}, c: {path: /cave, user: c, headers: {x-forwarded-for: 10.0.0.1}}, "
             "d: {path: /cave, user: d, headers: {x-forwarded-for: 10.0.0.2}, refused: 503}"), [],
        ),
        ("a: {path: /cave, user: a, refused: 403}", ["a was not refused as expected: it was accepted"]),
    ],
)  # fmt: skip
def test_handshakes_are_judged_as_the_server_does(
    tmp_path: object, clients: str, problems: list[str]
) -> None:
    assert let_in(tmp_path, "query", clients) == problems


def test_a_token_ends_when_the_scenario_says() -> None:
    ann = "    clients: {ann: {path: /rooms/a, user: ann, claims: {name: A}, expires: %s}}\n"
    steps = "- ann: {expect: [{type: token_expiring, in: 60}, {type: error, code: TOKEN_EXPIRED}], within: 10m}\n- ann: expect_close"
    found = outcome(steps, ann % "10m")
    assert (found.status, found.virtual) == (Status.PASS, 600.0)


def test_a_token_outlasts_the_scenario_unless_it_says_otherwise() -> None:
    ann = "    clients: {ann: {path: /rooms/a, user: ann, claims: {name: A}}}\n"
    assert outcome("- advance: 366d\n- advance: 1d", ann).status is Status.FAIL
    assert outcome("- advance: 366d", ann).status is Status.PASS


def test_paths_may_have_a_query_and_any_letters() -> None:
    clients = "    clients: {ann: {path: '/rooms/caf%C3%A9?x=1', user: ann, claims: {name: A}}, bob: {path: /rooms/café, user: bob, claims: {name: B}}}\n"
    assert (
        outcome("- ann: {expect: {type: presence, event: join, room: café}}", clients).status
        is Status.PASS
    )

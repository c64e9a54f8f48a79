from collections.abc import Callable
from pathlib import Path

import attrs
import jwt
import pytest

from channeld.cli.api_side import with_dev_api
from channeld.cli.ready import Manner, ready_text
from channeld.plan.load import load_plan
from channeld.plan.plan import Plan

SECRET = "s" * 40
DEV = Manner(dev=True, reloads=True)
OPEN = """
channeld: 1
channels:
  lobby: {path: /chat, auth: none}
"""
CLOSED = """
channeld: 1
auth:
  session: {type: jwt, algorithms: [HS256], secret: SECRET, claims: {type: object, CLAIMS}}
channels:
  room: {path: "/rooms/{id}", auth: session, params: {id: {type: string, pattern: "PATTERN"}}}
"""

Load = Callable[[str], Plan]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def plan(yaml: str) -> Plan:
        tmp_path.joinpath("channels.yaml").write_text(yaml)
        return load_plan(str(tmp_path / "channels.yaml"), {})

    return plan


def closed(claims: str = "required: [name]", pattern: str = "^[a-z]+$") -> str:
    yaml = CLOSED.replace("SECRET", SECRET).replace("CLAIMS", claims)
    return yaml.replace("PATTERN", pattern)


def test_each_channel_has_its_url(load: Load) -> None:
    text = ready_text(load(OPEN), ["127.0.0.1:4000"], Manner())
    assert text == (
        "channeld serves 1 channel on 127.0.0.1:4000\n\n  lobby  ws://127.0.0.1:4000/chat\n"
    )


@pytest.mark.parametrize(
    ("addresses", "url"),
    [
        (["0.0.0.0:80"], "ws://127.0.0.1:80/chat"),
        (["[::]:80"], "ws://[::1]:80/chat"),
        (["unix:/run/a.sock", "127.0.0.1:80"], "ws://127.0.0.1:80/chat"),
        (["unix:/run/a.sock"], "ws+unix:/run/a.sock:/chat"),
    ],
)
def test_the_url_is_one_that_can_be_used(load: Load, addresses: list[str], url: str) -> None:
    text = ready_text(load(OPEN), addresses, Manner())
    assert f"  lobby  {url}\n" in text
    assert f" on {', '.join(addresses)}\n" in text


def test_tls_is_wss(load: Load) -> None:
    plan = load(OPEN + "server: {tls: {certificate: a.pem, key: b.pem}}\n")
    assert "  wss://127.0.0.1:1/chat\n" in ready_text(plan, ["127.0.0.1:1"], Manner())


def test_a_link_has_a_token_that_the_channel_takes(load: Load) -> None:
    text = ready_text(load(closed()), ["127.0.0.1:4000"], DEV)
    lines = text.splitlines()
    assert "  channeld connect /rooms/general --user ann" in lines
    link = lines[lines.index("  room as ann") + 1].strip()
    assert link.startswith("ws://127.0.0.1:4000/rooms/general?token=")
    payload = jwt.decode(link.partition("token=")[2], SECRET, ["HS256"])
    assert (payload["sub"], payload["name"]) == ("ann", "Ann")
    assert payload["exp"] - payload["iat"] == 12 * 3600
    assert "  room as bob" in lines


def test_a_param_gets_a_value_that_its_schema_takes(load: Load) -> None:
    text = ready_text(load(closed(pattern="^[0-9]{1,3}$")), ["127.0.0.1:1"], DEV)
    assert "ws://127.0.0.1:1/rooms/1?token=" in text


def test_a_param_without_a_likely_value_is_said(load: Load) -> None:
    text = ready_text(load(closed(pattern="^[0-9]{9}z$")), ["127.0.0.1:1"], DEV)
    assert "    no link: cannot guess a value of {id} for /rooms/{id}\n" in text
    assert "channeld connect" not in text


def test_claims_that_cannot_be_guessed_are_said(load: Load) -> None:
    hard = "required: [id], properties: {id: {type: string, pattern: '^[0-9]{9}z$'}}"
    text = ready_text(load(closed(hard)), ["127.0.0.1:1"], DEV)
    assert "no link: the claims of 'session' cannot be guessed; try `channeld token" in text


def test_an_authenticator_without_a_secret_is_said(load: Load) -> None:
    yaml = OPEN.replace("auth: none", "auth: fixed") + "auth: {fixed: {type: tokens, tokens: []}}\n"
    yaml = yaml.replace("[]", "[{token: abcdefghijklmnopqrstuvwxyz, user: ann}]")
    text = ready_text(load(yaml), ["127.0.0.1:1"], DEV)
    assert (
        "    no link: 'fixed' has a list of tokens; `channeld connect` finds them: --user ann"
        in text
    )
    assert "abcdefghijklm" not in text


def test_an_open_channel_needs_no_token(load: Load) -> None:
    text = ready_text(load(OPEN), ["127.0.0.1:1"], DEV)
    assert "\n  lobby\n    ws://127.0.0.1:1/chat\n" in text
    assert "token" not in text


def test_habits_are_told(load: Load) -> None:
    plan = load(OPEN)
    manner = Manner(dev=True, reloads=True, generated=["A_SECRET", "B_KEY"])
    assert ready_text(plan, ["127.0.0.1:1"], manner).splitlines()[-3:] == [
        "Secrets generated for this run: A_SECRET, B_KEY.",
        "Changed files are loaded again.",
        "Ctrl-C stops.",
    ]
    assert "loaded again" in ready_text(plan, ["127.0.0.1:1"], Manner(reloads=True))


def test_over_a_unix_socket_there_is_nothing_to_try(load: Load) -> None:
    assert "channeld connect" not in ready_text(load(OPEN), ["unix:/a"], DEV)


def test_with_a_console_each_link_has_a_short_one_for_the_browser(load: Load) -> None:
    plan = load(closed())
    plan = attrs.evolve(plan, config=with_dev_api(plan.config, {"CHANNELD_API_KEY": "k" * 32}))
    manner = Manner(dev=True, console="http://127.0.0.1:4001/#key=secret")
    lines = ready_text(plan, ["127.0.0.1:4000"], manner).splitlines()
    at = lines.index("Open in a browser:")
    assert lines[at + 2].startswith("  room as ann  http://127.0.0.1:4001/go/")
    assert lines[at + 3].startswith("  room as bob  http://127.0.0.1:4001/go/")
    assert "Control API and console: http://127.0.0.1:4001/#key=secret" in lines


def test_an_address_that_was_taken_is_said(load: Load) -> None:
    manner = Manner(moved=[("127.0.0.1:4000", "127.0.0.1:4001")])
    text = ready_text(load(OPEN), ["127.0.0.1:4001"], manner)
    assert "\n(127.0.0.1:4000 is in use, so 127.0.0.1:4001 is used instead)\n" in text

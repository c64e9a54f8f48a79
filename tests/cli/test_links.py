from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from channeld.cli.links import chat_page, code_of, links, opened
from channeld.config.model import Api, Secret
from channeld.plan.load import load_plan
from channeld.plan.plan import Plan

KEY = "k" * 32
BASE = "ws://127.0.0.1:4000"
YAML = """
channeld: 1
auth: {session: {type: jwt, algorithms: [HS256], secret: SECRET, audience: a}}
channels:
  room:
    path: /rooms/{id}
    auth: session
    rooms: "{params.id}"
    messages:
      message: {schema: {type: object, required: [text], properties: {text: {type: string}}}, route: room}
  "odd name": {path: /open, auth: none, messages: {say: {schema: true, route: sender}}}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    tmp_path.joinpath("channels.yaml").write_text(
        YAML.replace("SECRET", "s" * 40).replace('"odd name"', "odd-name")
    )
    found = load_plan(str(tmp_path / "channels.yaml"), {})
    api = Api(keys=(Secret(text=KEY),))
    return attrs.evolve(found, config=attrs.evolve(found.config, api=api))


def test_each_user_of_each_channel_has_a_link(plan: Plan) -> None:
    found = {(link.channel, link.user): link.url for link in links(plan, BASE)}
    assert list(found) == [("room", "ann"), ("room", "bob"), ("odd-name", "")]
    assert found["room", "ann"].startswith(f"{BASE}/rooms/general?token=")
    assert found["odd-name", ""] == f"{BASE}/open"


def test_a_code_is_of_one_key_channel_and_user() -> None:
    codes = {code_of(k, c, u) for k in (KEY, "x") for c in ("a", "b") for u in ("", "ann")}
    assert len(codes) == 8
    assert {len(code) for code in codes} == {12}


def test_a_chat_opens_the_page_with_a_fresh_token(plan: Plan) -> None:
    target = opened(plan, code_of(KEY, "room", "bob"), BASE, has_page=True)
    assert target is not None
    page, _, fragment = target.partition("#")
    assert page == "/chat.html"
    (url,) = parse_qs(fragment)["url"]
    assert urlsplit(url).path == "/rooms/general"
    assert urlsplit(url).query.startswith("token=")


@pytest.mark.parametrize(
    ("channel", "user", "base", "has_page"),
    [("odd-name", "", BASE, True), ("room", "ann", BASE, False), ("room", "ann", "", True)],
)
def test_anything_else_opens_the_playground(
    plan: Plan, channel: str, user: str, base: str, has_page: bool
) -> None:
    target = opened(plan, code_of(KEY, channel, user), base, has_page=has_page)
    assert target is not None
    assert parse_qs(target.partition("#")[2]) == {
        "key": [KEY],
        "view": [f"playground/{channel}//{user}"],
    }


@pytest.mark.parametrize("code", ["", "x" * 12, "ü"])
def test_another_code_opens_nothing(plan: Plan, code: str) -> None:
    assert opened(plan, code, BASE, has_page=True) is None
    without = attrs.evolve(plan, config=attrs.evolve(plan.config, api=None))
    assert opened(without, code_of("", "odd-name"), BASE, has_page=True) is None


def test_the_chat_page_lies_beside_the_configuration(tmp_path: Path) -> None:
    assert chat_page(tmp_path) is None
    inner = tmp_path / "examples" / "chat.html"
    inner.parent.mkdir()
    inner.write_text("")
    assert chat_page(tmp_path) == inner
    tmp_path.joinpath("chat.html").write_text("")
    assert chat_page(tmp_path) == tmp_path / "chat.html"

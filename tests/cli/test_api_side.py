import socket
from pathlib import Path

import click
import pytest

from channeld.cli.api_side import bind_api, console_url, parts_of_console, with_dev_api
from channeld.cli.links import code_of
from channeld.config.model import Api, Config
from channeld.plan.load import ValidConfig, load_plan
from channeld.plan.plan import Plan
from channeld.server.sockets import named

KEY = "a-key-of-exactly-thirty-two-char"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(tmp_path, "127.0.0.1:0")


def plan_of(folder: Path, address: str) -> Plan:
    file = folder / "channels.yaml"
    file.write_text(
        f"channeld: 1\napi: {{bind: '{address}', keys: ['{KEY}']}}\n"
        "channels: {lobby: {path: /chat, auth: none}}\n"
    )
    return load_plan(str(file))


def test_for_development_the_api_is_on() -> None:
    config = with_dev_api(Config(), {"CHANNELD_API_KEY": KEY})
    assert config.api is not None
    assert [secret.text for secret in config.api.keys] == [KEY]


def test_what_is_declared_stays() -> None:
    declared = Config(api=Api())
    assert with_dev_api(declared, {}) is declared


def test_a_short_key_is_refused() -> None:
    with pytest.raises(click.ClickException, match="fewer than 32"):
        with_dev_api(Config(), {"CHANNELD_API_KEY": "short"})


def test_the_address_is_bound_and_the_link_has_the_key_for_development_only(plan: Plan) -> None:
    (sock,) = bind_api(plan, may_move=False)
    with sock:
        assert console_url(plan, [sock], dev=False) == f"http://{named(sock)}/"
        assert console_url(plan, [sock], dev=True) == f"http://{named(sock)}/#key={KEY}"


def test_a_taken_address_is_an_error_where_it_was_declared(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        plan = plan_of(tmp_path, f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(click.ClickException, match="Cannot listen"):
            bind_api(plan, may_move=False)
        (sock,) = bind_api(plan, may_move=True)
        with sock:
            assert sock.getsockname()[1] != taken.getsockname()[1]


def unread() -> ValidConfig:
    raise AssertionError


def test_without_an_api_there_is_nothing(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text("channeld: 1\nchannels: {lobby: {path: /chat, auth: none}}\n")
    plan = load_plan(str(file))
    assert bind_api(plan, may_move=True) == []
    assert console_url(plan, [], dev=True) == ""


def test_only_development_mints_and_follows_links(plan: Plan, tmp_path: Path) -> None:
    dev, other = (parts_of_console(tmp_path, unread, dev=dev) for dev in (True, False))
    assert (dev.mint is not None, other.mint is not None) == (True, False)
    code = code_of(KEY, "lobby")
    assert dev.opens(plan, code, "") == f"/#key={KEY}&view=playground%2Flobby%2F%2F"
    assert other.opens(plan, code, "") is None


def test_a_taken_address_is_changed_in_the_configuration(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        plan = plan_of(tmp_path, named(other))
        with pytest.raises(click.ClickException, match=r"another address: `api\.bind`"):
            bind_api(plan, may_move=False)

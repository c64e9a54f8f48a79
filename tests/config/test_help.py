"""Help for what people write who come from other tools: it names what to write here."""

from collections.abc import Callable

import pytest

from channeld.config.load import Loaded

Load = Callable[..., Loaded]

FILE = """\
channeld: 1
SERVER
channels:
  room:
    path: /rooms/{id}
    description: One room.
    auth: AUTH
    rooms: lobby
    CHANNEL
    messages:
      say: {schema: true, MESSAGE}
"""


def helps(load: Load, **parts: str) -> list[str]:
    """The help of each error in the file with these parts."""
    text = FILE
    known = {"SERVER": "x-a: 1", "AUTH": "none", "CHANNEL": "x-a: 1", "MESSAGE": "route: room"}
    for name, part in {**known, **parts}.items():
        text = text.replace(name, part)
    return [found.help for found in load(text).report.errors]


@pytest.mark.parametrize(
    ("part", "written", "meant"),
    [
        ("MESSAGE", "route: {to: room, exclude_self: true}", "`except_sender`"),
        ("MESSAGE", "broadcast: true", "`route`"),
        ("SERVER", "server: {max_connections: 5}", "`limits: {connections: …}`"),
        ("SERVER", "server: {limits: {max_connections: 5}}", "`connections`"),
        ("SERVER", "server: {ping_interval: 5s}", "`ping: {interval: …}`"),
        ("SERVER", "server: {ping: {ping_interval: 5s}}", "`interval`"),
        ("SERVER", "server: {max_payload: 5}", "`limits: {message_size: …}`"),
        ("CHANNEL", "history_size: 5", "`history: {size: …}`"),
    ],
)
def test_a_key_of_another_tool_leads_to_ours(
    load_config: Load, part: str, written: str, meant: str
) -> None:
    assert helps(load_config, **{part: written}) == [f"did you mean {meant}?"]


@pytest.mark.parametrize(
    ("part", "written", "help"),
    [
        ("CHANNEL", "history: true", "write, for example, `history: {size: 100, ttl: 1h}`"),
        ("CHANNEL", "history: 100", "write, for example, `history: {size: 100, ttl: 1h}`"),
        ("CHANNEL", "require: role=admin", "name the claim: `require: {role: admin}`"),
        ("CHANNEL", "hooks: {disconnect: app:gone}", "did you mean `close`?"),
        ("CHANNEL", "hooks: {on_disconnect: app:gone}", "did you mean `close`?"),
        (
            "CHANNEL",
            "history: false",
            "remove it, or write, for example, `history: {size: 100, ttl: 1h}`",
        ),
        (
            "AUTH",
            "true",
            "name an authenticator of the file's `auth`, such as `auth: session`",
        ),
        ("SERVER", "broker: redis://host:1", 'write `broker: {redis: {url: "${REDIS_URL}"}}`'),
    ],
)
def test_a_value_of_another_type_leads_to_one_that_is_right(
    load_config: Load, part: str, written: str, help: str
) -> None:
    assert helps(load_config, **{part: written}) == [help]


def test_a_missing_auth_is_not_advised_to_be_none(load_config: Load) -> None:
    text = FILE.replace("    auth: AUTH\n", "").replace("SERVER", "x-a: 1")
    text = text.replace("CHANNEL", "x-b: 1").replace("MESSAGE", "route: room")
    (found,) = load_config(text).report.errors
    assert found.help.startswith("add `auth:` with the name of an authenticator")


def test_no_message_shows_the_password_of_a_url(load_config: Load) -> None:
    text = FILE.replace("SERVER", "broker: redis://ann:hunter2@host:1").replace("AUTH", "none")
    report = load_config(text.replace("CHANNEL", "x-b: 1")).report
    assert "hunter2" not in repr(list(report))

"""From a file's name to a plan."""

from pathlib import Path

import pytest

from channeld.plan.load import ConfigError, check, load_plan

GOOD = "channeld: 1\nchannels: {c: {path: /c, auth: none, messages: {m: {schema: true, route: sender}}}}\n"


def test_good_file_becomes_a_plan(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(GOOD)
    assert list(load_plan(str(file)).channels) == ["c"]


def test_errors_of_every_layer_are_in_one_report(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(GOOD.replace("sender", "nobody").replace("auth: none", "auth: none, a: 1"))
    checked = check(str(file), environ={})
    assert checked.plan is None
    assert {d.code for d in checked.report.errors} == {"CH103", "CH106"}


def test_bad_or_absent_file_has_no_plan(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CH117"):
        load_plan(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    "option",
    [
        *("deprecated: yes", "schema: yes", "schema: off", "schema: {x-sensitive: on}"),
        *("schema: {properties: {a: yes}}", "schema: {additionalProperties: off}"),
        "schema: {properties: {a: {type: boolean}}}, examples: [{a: yes}]",
    ],
)
def test_such_a_word_in_a_message_is_one_finding(tmp_path: Path, option: str) -> None:
    schema = "" if "schema" in option else "schema: true, "
    text = "channeld: 1\nchannels: {c: {path: /c, description: One., auth: none, messages: {m: {%s%s, route: sender}}}}\n"
    file = tmp_path / "channels.yaml"
    file.write_text(text % (schema, option))
    [found] = [one for one in check(str(file)).report if one.code != "CH207"]
    assert found.help.startswith(
        ("write `true`", "write `false`", "write `schema: true`", "correct")
    )


AUTH = 'auth: {s: {type: jwt, algorithms: [HS256], secret: "${S:-0123456789012345678901234567890123456789}", audience: us}}  # channeld: ignore[CH409] in a test\n'


def one_channel(rest: str, top: str = AUTH) -> str:
    return f'channeld: 1\n{top}channels: {{c: {{path: "/c/{{id}}", description: One., auth: s, {rest}}}}}\n'


def authenticator(keys: str) -> str:
    return one_channel("events: {}", f"auth: {{s: {{{keys}}}}}\n")


@pytest.mark.parametrize(
    ("text", "code", "help"),
    [
        (one_channel("on: {message: {schema: true}}"), "CH103", "declare what clients send"),
        (one_channel("handle_in: {message: {schema: true}}"), "CH103", "did you mean `messages`?"),
        (one_channel("middleware: [a.b], events: {}"), "CH103", "did you mean `hooks`?"),
        (one_channel("messages: {m: {schema: true, emit: chat}}"), "CH105", "write `emit: {type: chat}`"),
        (one_channel("messages: {m: {schema: true, route: sender, reply: ok}}"), "CH103", "`route: sender`"),
        (one_channel("messages: {m: {schema: true, route: sender, rate: {limit: 10, window: 60}}}"), "CH105", "`rate: 10/m`"),
        (one_channel("messages: {m: {schema: true, route: sender, rate: {max: 5, window: 10s}}}"), "CH105", "{limit: 30/m, burst: 5}"),
        (one_channel("presence: {track: [name]}, rooms: r, events: {}"), "CH103", "did you mean `info`?"),
        (one_channel('rooms: "room-:id", events: {}'), "CH340", 'write `"room-{params.id}"`'),
        (one_channel('rooms: "room:id", events: {}'), "CH340", 'write `"room:{params.id}"`'),
        (one_channel('rooms: "[id]", events: {}'), "CH340", 'write `"{params.id}"`'),
        (one_channel("events: {}").replace("c: {path", '"room:*": {path'), "CH118", "call it `room`"),
        (one_channel("events: {}").replace("auth: s", "auth: {endpoint: 'http://x'}"), "CH105", "define one under `auth`"),
        (one_channel("events: {}", f"{AUTH}engine: redis\n"), "CH103", "did you mean `broker`?"),
        (one_channel("events: {}", f"{AUTH}token_hmac_secret_key: x\n"), "CH103", "algorithms: [HS256]"),
        (one_channel("events: {}", f"{AUTH}worker_processes: auto\n"), "CH103", "belongs under `server`"),
        (one_channel("events: {}", f"{AUTH}server: {{check_origin: false}}\n"), "CH103", "`allowed_origins`"),
        (one_channel("events: {}", f'{AUTH}server: {{bind: "::"}}\n'), "CH119", "write `[::]:4000`"),
        (authenticator("type: keycloak, realm: r"), "CH106", "did you mean `jwt`?"),
        (authenticator("type: jwt, algorithms: [RS256], public_key: keys/pub.pem, audience: us"), "CH432", "{file: keys/pub.pem}"),
        (AUTH.join(("channeld: 1\n", "location: {/chat: {auth: none}}\n")), "CH103", "did you mean `channels`?"),
    ],
)  # fmt: skip
def test_a_habit_of_another_tool_is_one_finding(
    tmp_path: Path, text: str, code: str, help: str
) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(text)
    [found] = check(str(file), import_hooks=False).report
    assert found.code == code
    assert help in found.help

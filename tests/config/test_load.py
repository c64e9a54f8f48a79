import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.config.ignores import apply_ignores
from channeld.config.load import Loaded, file_system, load
from channeld.config.source import FileSystem
from channeld.diagnostics.diagnostic import Severity

Load = Callable[..., Loaded]

WHOLE = """\
channeld: 1
server:
  bind: [127.0.0.1:4000, "unix:run/chat.sock"]
  allowed_origins: [https://chat.example.com]
  limits: {message_size: 64KiB, messages: {limit: 10/s, burst: 30}, outbox: 1MiB}
  ping: {interval: 25s, timeout: 20s}
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: ${CHANNELD_JWT_SECRET}
    audience: chat
    claims: {type: object, required: [name], properties: {name: {type: string}}}
  machines: {type: tokens, token_from: [cookie:machine], tokens: [{token: "${SENSOR_TOKEN}", user: m1}]}
channels:
  room:
    path: /rooms/{room_id}
    description: One room.
    params: {room_id: {type: string, pattern: "^[a-z]+$"}}
    auth: [session, machines]
    rooms: {join: "{params.room_id}", subscribe: {allow: ["a-*"], max: 5}}
    presence: {info: {name: "{claims.name}"}, batch: 250ms}
    history: {size: 100, ttl: 1h}
    messages:
      say:
        schema: {type: object, required: [text], properties: {text: {type: string}}}
        examples: [{text: hello}]
        rate: 5/s
        route: [room, {to: user, user: "{message.to?}"}]
        stamp: {from: "{user.id}", at: "{now}"}
    events: {paid: {schema: {type: object}}}
"""


def test_a_good_configuration_gives_a_model_and_no_finding(load_config: Load) -> None:
    loaded = load_config(WHOLE)
    assert list(loaded.report) == []
    assert loaded.config is not None
    assert list(loaded.config.channels) == ["room"]


def test_a_file_that_is_not_there_is_a_finding() -> None:
    def read(file: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory")

    loaded = load("channels.yaml", FileSystem(read, lambda pattern: []), {})
    assert loaded.config is None
    assert [d.code for d in loaded.report] == ["CH117"]


def test_findings_of_all_steps_come_together(load_config: Load) -> None:
    text = WHOLE.replace("size: 100", "size: 100, size: 200").replace("batch", "bach")
    loaded = load_config(text.replace("auth: [session,", "auth: [sessoin,"))
    assert [d.code for d in loaded.report.sorted()] == ["CH401", "CH103", "CH004"]


def test_a_word_for_a_boolean_is_one_finding(load_config: Load) -> None:
    text = re.sub("presence: .*", "presence: yes", WHOLE)
    assert [d.code for d in load_config(text).report] == ["CH105"]


def test_such_a_word_elsewhere_is_still_doubted(load_config: Load) -> None:
    text = WHOLE.replace("audience: chat", "audience: yes")
    assert [d.code for d in load_config(text).report] == ["CH005"]


@pytest.mark.parametrize("word", ["yes", "Off", "n"])
def test_such_a_word_as_a_room_is_told_as_one(load_config: Load, word: str) -> None:
    text = "channeld: 1\nchannels: {c: {path: /c, description: One., auth: none, rooms: %s, events: {}}}\n"
    [found] = load_config(text % word).report
    assert found.message.startswith(f"`{word}` is the name of a room here, not `")
    assert not list(load_config(text % f"'{word}'").report)


def test_letters_in_a_list_of_rooms_are_names(load_config: Load) -> None:
    text = "channeld: 1\nchannels: {c: {path: /c, description: One., auth: none, rooms: %s, events: {}}}\n"
    for rooms in ("[x, y]", "{subscribe: {allow: [n, m]}}"):
        assert not list(load_config(text % rooms).report)


def test_included_files_are_checked_where_they_stand(load_config: Load) -> None:
    more = "channels:\n  feed: {path: /feed, auth: none, evens: {}}\n"
    loaded = load_config(
        WHOLE.replace("channeld: 1\n", "channeld: 1\ninclude: [more/feed.yaml]\n"),
        files={"conf/more/feed.yaml": more},
    )
    unknown = next(d for d in loaded.report if d.code == "CH103")
    assert (unknown.place.file, unknown.place.line) == ("conf/more/feed.yaml", 2)
    assert unknown.help == "did you mean `events`?"


def test_paths_are_relative_to_the_file_that_names_them(load_config: Load) -> None:
    more = "auth:\n  more: {type: jwt, algorithms: [ES256], audience: a, jwks: {file: k.json}}\n"
    loaded = load_config(
        WHOLE.replace("channeld: 1\n", "channeld: 1\ninclude: [more/auth.yaml]\n"),
        files={"conf/more/auth.yaml": more},
    )
    assert loaded.config is not None
    assert loaded.config.server.bind[1] == "unix:conf/run/chat.sock"
    assert loaded.config.hooks.path == "conf"
    assert "file='conf/more/k.json'" in repr(loaded.config.auth["more"])


def test_a_missing_variable_is_a_warning_and_no_other_finding(load_config: Load) -> None:
    loaded = load_config(WHOLE, environ={})
    assert {(d.code, d.severity) for d in loaded.report} == {("CH113", Severity.WARNING)}
    assert loaded.config is not None
    assert loaded.config.channels["room"].auth.names == ("session", "machines")


def test_a_missing_variable_stops_a_run(load_config: Load) -> None:
    loaded = load_config(WHOLE, environ={}, missing_is_error=True)
    assert {d.code for d in loaded.report.errors} == {"CH113"}


def test_comments_silence_findings_when_they_are_applied(load_config: Load) -> None:
    loaded = load_config(WHOLE.replace("description: One room.", "# nothing"))
    assert [d.code for d in loaded.report] == ["CH701"]
    commented = WHOLE.replace("  room:\n", "  room: # channeld: ignore[CH701] it is obvious\n")
    loaded = load_config(commented.replace("description: One room.", ""))
    assert loaded.sources is not None
    assert list(apply_ignores(loaded.report, loaded.sources.ignores)) == []


def test_secrets_are_in_no_finding_and_no_repr(load_config: Load) -> None:
    for text in (
        WHOLE.replace("secret: ${CHANNELD_JWT_SECRET}", "secret: hunter2"),
        WHOLE.replace("secret: ${CHANNELD_JWT_SECRET}", "secret: {hunter2: 1}"),
        WHOLE.replace("secret: ${CHANNELD_JWT_SECRET}", "secret: [[hunter2]]"),
        WHOLE.replace("secret: ${CHANNELD_JWT_SECRET}", "secret: {file: {a: hunter2}}"),
        WHOLE.replace('"${SENSOR_TOKEN}"', "sha256:hunter2"),
        WHOLE.replace("channeld: 1", "channeld: 1\nbroker: {redis: {url: hunter2}}"),
    ):
        loaded = load_config(text)
        assert len(loaded.report)
        words = [part for d in loaded.report for part in (d.message, d.help, d.label)]
        assert "hunter2" not in repr(words) + repr(loaded.config)


def test_the_real_file_system(tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text(
        WHOLE.replace("channeld: 1", "channeld: 1\ninclude: [parts/*.yaml]"), encoding="utf-8"
    )
    (tmp_path / "parts").mkdir()
    part = "channels: {feed: {path: /feed, auth: none, description: d, events: {a: {}}}}"
    (tmp_path / "parts" / "feed.yaml").write_text(part, encoding="utf-8")
    environ = {"CHANNELD_JWT_SECRET": "x" * 32, "SENSOR_TOKEN": "y" * 16}
    loaded = load(str(tmp_path / "channels.yaml"), file_system(), environ)
    assert list(loaded.report) == []
    assert loaded.config is not None
    assert list(loaded.config.channels) == ["room", "feed"]


def test_a_path_that_no_file_can_have_is_unreadable() -> None:
    read, list_files = file_system()
    assert list_files("a\0*") == []
    with pytest.raises(OSError, match="null"):
        read("a\0b")


def test_a_file_of_endless_size_is_refused(tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(OSError, match="16 MiB"):
        file_system().read(str(big))


WORDS = [
    "5",
    "null",
    "[]",
    "{}",
    "yes",
    "[1, [2]]",
    "{a: {b: c}}",
    "1e400",
    "''",
    '"\\0"',
    "-1s",
    "${X}",
    "*a",
    "&a b",
    "!!int a",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "x" * 5000,
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_edit_makes_it_raise(load_config: Load, data: st.DataObject) -> None:
    text = WHOLE
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        put = data.draw(st.sampled_from(WORDS) | st.text(max_size=5))
        text = text[:start] + put + text[end:]
    load_config(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_other_value_makes_it_raise(load_config: Load, data: st.DataObject) -> None:
    spots = [m.span(1) for m in re.finditer(r": ([^\n{\[]+|\{.*\}|\[.*\])$", WHOLE, re.MULTILINE)]
    start, end = data.draw(st.sampled_from(spots))
    loaded = load_config(WHOLE[:start] + data.draw(st.sampled_from(WORDS)) + WHOLE[end:])
    assert loaded.report or loaded.config is not None


@pytest.mark.parametrize("index", range(len(WHOLE.splitlines())))
def test_no_missing_line_makes_it_raise(load_config: Load, index: int) -> None:
    lines = WHOLE.splitlines()
    del lines[index]
    loaded = load_config("\n".join(lines))
    assert loaded.report or loaded.config is not None

"""Backends: where they may be, what signs, and who names them."""

from collections.abc import Callable

import pytest

from channeld.config.load import Loaded
from channeld.config.model import Backend, HookRef
from channeld.config.scalars import is_private

Load = Callable[..., Loaded]

BASE = """\
channeld: 1
backends:
  app: {url: "URL", secret: "${CHANNELD_JWT_SECRET}", timeout: 500ms, headers: [Cookie]}
auth: {a: {type: hook, hook: {backend: app, path: /who}}}
channels:
  room:
    path: /room
    description: One room.
    auth: a
    rooms: {join: lobby, subscribe: {allow: [x], hook: {backend: app, path: /may}}}
    hooks: {connect: {backend: app, path: /in, on_failure: accept}, close: {backend: app, path: /out}}
    messages: {say: {schema: true, route: room, hook: {backend: app, path: /say}}}
"""


def found(loaded: Loaded) -> list[tuple[str, str]]:
    return [(d.code, d.place.path) for d in loaded.report]


def test_a_backend_stands_wherever_a_hook_can(load_config: Load) -> None:
    loaded = load_config(BASE.replace("URL", "https://app.example/hooks"))
    assert found(loaded) == []
    config = loaded.config
    assert config is not None
    backend = config.backends["app"]
    assert isinstance(backend, Backend)
    assert (backend.timeout, backend.concurrency, backend.headers) == (0.5, 64, ("cookie",))
    assert (backend.on_failure, len(backend.secrets)) == ("refuse", 1)
    room = config.channels["room"]
    assert room.messages["say"].hook == HookRef(call="app/say", backend="app", path="/say")
    assert room.hooks.connect is not None
    assert room.hooks.connect.on_failure == "accept"
    assert room.rooms.subscribe is not None
    assert room.rooms.subscribe.hook is not None
    assert room.rooms.subscribe.hook.call == "app/may"


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://app.example", True),
        ("http://app:8000", True),
        ("http://127.0.0.1:8000/hooks", True),
        ("http://[::1]:8000", True),
        ("http://10.1.2.3", True),
        ("http://8.8.8.8", False),
        ("http://203.0.113.7:8000", False),
        ("https://ann:pw@app.example", False),
        ("https://app.example/?a=b", False),
        ("https://:443", False),
        ("https://[::1", False),
        ("https://app.example:99999", False),
    ],
)
def test_a_url_that_may_be_asked(load_config: Load, url: str, fine: bool) -> None:
    expected = [] if fine else [("CH433", "/backends/app/url")]
    assert found(load_config(BASE.replace("URL", url))) == expected


@pytest.mark.parametrize(
    ("secret", "fine"),
    [
        ("x" * 32, True),
        ("x" * 31, False),
        ("whsec_" + "QUFB" * 8, True),
        ("whsec_" + "QUFB" * 7, False),
        ("whsec_ not base64 at all, though it is long enough", False),
    ],
)
def test_a_secret_that_cannot_be_guessed(load_config: Load, secret: str, fine: bool) -> None:
    text = BASE.replace("URL", "https://app.example")
    loaded = load_config(text, environ={"CHANNELD_JWT_SECRET": secret})
    assert found(loaded) == ([] if fine else [("CH434", "/backends/app/secret")])
    assert secret not in repr(loaded.report)


def test_a_secret_in_the_file_is_told(load_config: Load) -> None:
    text = BASE.replace("URL", "https://app.example").replace("${CHANNELD_JWT_SECRET}", "x" * 40)
    loaded = load_config(text)
    assert found(loaded) == [("CH409", "/backends/app/secret")]
    assert loaded.sources is not None
    assert "x" * 40 not in (loaded.sources.text("conf/channels.yaml") or "")


def test_a_name_that_is_not_there(load_config: Load) -> None:
    text = BASE.replace("URL", "https://app.example").replace(
        "backend: app, path: /say", "backend: ap, path: /say"
    )
    (one,) = load_config(text).report
    assert (one.code, one.place.path) == ("CH435", "/channels/room/messages/say/hook/backend")
    assert one.help == "did you mean `app`?"


def test_one_that_no_hook_names(load_config: Load) -> None:
    text = BASE.replace("URL", "https://app.example").replace(
        "auth: {a", "  old: {url: 'https://o.example', secret: '${CHANNELD_JWT_SECRET}'}\nauth: {a"
    )
    assert found(load_config(text)) == [("CH436", "/backends/old")]


@pytest.mark.parametrize("hook", ["{backend: old}", "old/say", "{backend: old, path: say}"])
def test_a_backend_that_a_wrong_hook_may_have_meant_is_not_called_unused(
    load_config: Load, hook: str
) -> None:
    text = BASE.replace("URL", "https://app.example").replace("{backend: app, path: /say}", hook)
    text = text.replace(
        "auth: {a", "  old: {url: 'https://o.example', secret: '${CHANNELD_JWT_SECRET}'}\nauth: {a"
    )
    report = load_config(text).report
    assert report.errors
    assert "CH436" not in {one.code for one in report}


def test_a_url_where_a_function_stands_is_told_where_to_go(load_config: Load) -> None:
    text = BASE.replace("URL", "https://app.example").replace(
        "{backend: app, path: /say}", "http://127.0.0.1:8000/say"
    )
    (error,) = load_config(text).report.errors
    assert (error.code, "under `backends`" in (error.help or "")) == ("CH120", True)


@pytest.mark.parametrize(
    ("hook", "code"),
    [
        ("{backend: app}", "CH104"),
        ("{path: /say}", "CH104"),
        ("{backend: app, path: say}", "CH120"),
        ("{backend: app, path: /say, thread: true}", "CH103"),
        ("{backend: app, path: /say, on_failure: accept}", "CH103"),
        ("{call: 'm:f', path: /say}", "CH103"),
    ],
)
def test_a_hook_is_a_function_or_a_path_of_a_backend(
    load_config: Load, hook: str, code: str
) -> None:
    text = BASE.replace("URL", "https://app.example").replace("{backend: app, path: /say}", hook)
    assert [one.code for one in load_config(text).report.errors] == [code]


def test_included_files_may_hold_backends(load_config: Load) -> None:
    main, _, rest = BASE.replace("URL", "https://app.example").partition("backends:")
    part, _, channels = rest.partition("auth:")
    text = f"{main}include: [more.yaml]\nauth:{channels}"
    loaded = load_config(text, files={"conf/more.yaml": f"backends:{part}"})
    assert found(loaded) == []


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("127.0.0.1", True), ("::1", True), ("10.0.0.1", True), ("192.168.1.1", True), ("172.31.0.1", True),
        ("fd00::1", True), ("::ffff:10.0.0.1", True), ("169.254.169.254", False), ("8.8.8.8", False),
        ("::ffff:8.8.8.8", False), ("203.0.113.7", False), ("app", False), ("fe80::1", False),
    ],
)  # fmt: skip
def test_private_addresses(host: str, private: bool) -> None:
    assert is_private(host) is private

import pytest

from channeld.config.checker import INVALID, Checker
from channeld.config.model import Secret
from channeld.config.normalizers import NORMALIZERS, NOTATIONS, beside
from channeld.diagnostics.diagnostic import Place, Report
from channeld.protocol.frames import Json


class Held:
    """Files that hold their own path."""

    def text(self, checker: Checker, path: str, pointer: str, *, may_be_absent: bool) -> object:
        return INVALID if path == "gone" else f"{path}\n"

    def tokens(self, checker: Checker, path: str, pointer: str) -> object:
        return [path]


@pytest.fixture
def checker() -> Checker:
    return Checker(
        place=lambda pointer, key: Place("conf/channels.yaml", path=pointer),
        report=Report(),
        files=Held(),
        notations=NOTATIONS,
        normalizers=NORMALIZERS,
    )


@pytest.mark.parametrize(
    ("path", "file", "found"),
    [
        ("a.pem", "channels.yaml", "a.pem"),
        ("a.pem", "conf/channels.yaml", "conf/a.pem"),
        ("../a.pem", "conf/channels.yaml", "a.pem"),
        ("/etc/a.pem", "conf/channels.yaml", "/etc/a.pem"),
        (".", "channels.yaml", "."),
    ],
)
def test_paths_beside_a_file(path: str, file: str, found: str) -> None:
    assert beside(path, file) == found


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("duration", "90s", 90.0),
        ("size", "1KiB", 1024),
        ("address", "unix:a.sock", "unix:conf/a.sock"),
        ("address", "[::1]:1", "[::1]:1"),
        ("network", "10.1.2.3/8", "10.0.0.0/8"),
        ("network", "::1", "::1/128"),
        ("path", "a", "conf/a"),
        ("listen", "systemd", "systemd"),
        ("listen", "unix:a.sock", "unix:conf/a.sock"),
        ("percentage", "20%", 0.2),
        ("percentage", "100%", 1.0),
        ("health", "/up", "/up"),
        ("health", "none", None),
    ],
)
def test_notations(checker: Checker, kind: str, written: Json, value: object) -> None:
    assert NOTATIONS[kind](checker, written, {"type": "string", "x-kind": kind}, "/server") == value
    assert len(checker.report) == 0


@pytest.mark.parametrize("kind", sorted(set(NOTATIONS) - {"rate"}))
@pytest.mark.parametrize("written", [[], {"z": 1}, "", "\0", 1.5, True])
def test_a_bad_notation_is_one_finding(checker: Checker, kind: str, written: Json) -> None:
    rule = {"type": "string", "x-kind": kind, "pattern": "^never$"}
    assert NOTATIONS[kind](checker, written, rule, "/server") is INVALID
    assert len(checker.report) == 1


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("list", "a", ["a"]),
        ("list", ["a"], ["a"]),
        ("hook", "m:f", {"call": "m:f"}),
        ("file_text", "PEM", "PEM"),
        ("file_text", {"file": "a"}, "a\n"),
        ("secret", "s", Secret(text="s", inline=True)),
        ("secret", {"file": "a"}, Secret(text="a")),
        ("secret", {"file": "gone"}, INVALID),
        ("secrets", "s", [Secret(text="s", inline=True)]),
        ("secrets", {"file": "gone"}, []),
        ("jwks", "https://a", {"url": "https://a"}),
        ("tokens", {"file": "a"}, ["a"]),
        ("channel_auth", "none", {"names": []}),
        ("rooms", ["a", "b"], {"join": ["a", "b"]}),
        ("presence", True, {}),
        ("presence", False, None),
        ("drain", 3.0, {"over": 3.0}),
        ("drain", {"over": 3.0, "delay": 1.0}, {"over": 3.0, "delay": 1.0}),
        ("route", "room", [{"to": "room"}]),
        ("broker", {"redis": {"url": "u"}}, {"urls": ["u"]}),
        ("broker", {"redis": {"urls": ["u", "v"]}}, {"urls": ["u", "v"]}),
        ("broker", "memory", "memory"),
        ("authenticator", {"type": "jwt", "secret": []}, {"type": "jwt", "secrets": []}),
    ],
)
def test_short_forms_in_full(checker: Checker, kind: str, written: Json, value: object) -> None:
    assert NORMALIZERS[kind](checker, written, "/auth/a/secret") == value


@pytest.mark.parametrize(
    ("token", "entry"),
    [
        ("plain", {"user": "u", "token": Secret(text="plain")}),
        ("sha256:" + "aB" * 32, {"user": "u", "sha256": "ab" * 32}),
        ("sha256:short", INVALID),
    ],
)
def test_tokens_and_their_hashes(checker: Checker, token: str, entry: object) -> None:
    written = {"user": "u", "token": Secret(text=token)}
    assert NORMALIZERS["token_entry"](checker, written, "/auth/a/tokens/0") == entry

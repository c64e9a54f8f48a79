from pathlib import Path

import jwt
import pytest

from channeld.cli.main import run

SECRET = "a secret of at least thirty-two bytes"
TEXT = """\
channeld: 1
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: ${CHANNELD_TEST_SECRET}
    claims: {type: object, required: [name], properties: {name: {type: string}}}
  other: {type: hook, hook: "nowhere:user"}
channels:
  chat: {path: /chat, auth: [session, other]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHANNELD_TEST_SECRET", SECRET)
    Path("channels.yaml").write_text(TEXT)


def test_a_token_is_all_of_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["token", "--user", "ann", "--claim", "name=Ann", "--claim", "n=5", "--expires", "5m"])
        == 0
    )
    captured = capsys.readouterr()
    assert captured.err == ""
    claims = jwt.decode(captured.out.strip(), SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["name"], claims["n"]) == ("ann", "Ann", 5)
    assert claims["exp"] - claims["iat"] == 300


@pytest.mark.parametrize(("written", "seconds"), [("90", 90), ("90s", 90), ("2h", 7200)])
def test_a_bare_number_is_seconds(
    written: str, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["token", "--user", "ann", "--claim", "name=Ann", "--expires", written]) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == seconds


def test_claims_that_the_server_will_refuse_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", "--user", "ann"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count(".") == 2
    assert "Warning: the server will refuse this token, claims of 'session'" in captured.err
    assert "name" in captured.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "channeld: 1\nchannels: {chat: {path: /chat, auth: none}}\n",
            "no authenticator of this configuration",
        ),
        (TEXT.replace("TEST_SECRET", "TEST_UNSET"), "the secret of 'session' is empty"),
    ],
)
def test_without_a_secret_it_says_so(
    text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("channels.yaml").write_text(text)
    assert run(["token", "--user", "ann"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing option '--user'"),
        (["--user", "a", "--expires", "soon"], "is not a valid duration"),
        (["--user", "a", "--expires", "0s"], "greater than zero"),
        (["--user", "a", "--claim", "admin"], "write name=value"),
        (["--user", "a", "--auth", "nope"], "no authenticator is called 'nope'"),
        (["--user", "a", "--auth", "other"], "does not sign with a secret"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_the_secret_is_never_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANNELD_TEST_SECRET", "canary")
    assert run(["token", "--user", "ann"]) == 1
    captured = capsys.readouterr()
    assert "canary" not in captured.out + captured.err


@pytest.mark.parametrize("user", ["", "x" * 129])
def test_a_user_that_no_server_takes_is_wrong_usage(
    user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["token", "--user", user, "--claim", "name=Ann"]) == 2
    assert "--user takes 1 to 128 characters" in capsys.readouterr().err

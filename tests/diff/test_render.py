import json

from channeld.diff.render import EMPTY, render_github, render_json, render_markdown
from channeld.diff.text import DiffResult
from tests.diff.kit import BASE, instead, outcome

NEW = (
    instead("{text: {type: string}}", "{text: {type: string, maxLength: 80}}")
    .replace("auth: none", "auth: none\n    history: {size: 9, ttl: 1h}")
    .replace("  room:", "  # moved\n  room:")
    + "server: {allowed_origins: any}\ndiff:\n  accept:\n    - {code: D301, reason: x}\n"
)
ACCEPTED = NEW.replace("code: D301, reason: x", "code: D310, reason: It *is* meant.")


def made(new: str = NEW) -> DiffResult:
    return outcome(BASE, new)[0]


def test_json_has_everything() -> None:
    document = json.loads(render_json(made()))
    assert document["summary"] == {
        "breaking": 1, "dangerous": 0, "safe": 2, "security": 1, "accepted": 0,
    }  # fmt: skip
    change = next(each for each in document["changes"] if each["code"] == "D310")
    assert (change["name"], change["level"], change["line"]) == ("bound-tightened", "breaking", 11)
    assert change["path"] == "/channels/room/messages/say/schema/properties/text/maxLength"
    assert change["uses"] == ["/channels/room/messages/say"]
    assert len(change["witness"]["value"]["text"]) == 81
    assert [each["code"] for each in document["diagnostics"]] == ["D703"]


def test_a_failure_is_a_document_of_the_same_form() -> None:
    assert {"version", *EMPTY} == set(json.loads(render_json(made())))


def test_github_shows_the_worst_first() -> None:
    lines = render_github(made(), "").splitlines()
    kinds = [line.split(" ")[0] for line in lines]
    assert kinds == ["::error", "::notice", "::notice", "::warning", "1"]
    assert "file=new.yaml,line=11,col=95," in lines[0]
    assert "%0Arefused now: `/text` must have at most 80 characters" in lines[0]


def test_github_knows_files_by_their_names_in_the_repository() -> None:
    assert "file=yaml," in render_github(made(), "new.")


def test_what_is_accepted_is_no_error() -> None:
    assert "::error" not in render_github(made(ACCEPTED), "")
    assert "title=D310 accepted" in render_github(made(ACCEPTED), "")


def test_markdown_folds_what_is_safe_and_shows_what_opens() -> None:
    text = render_markdown(made())
    assert text.startswith(
        "### channeld: 1 breaking, 2 safe (1 of them for security) from old.yaml"
    )
    assert text.index("Breaking") < text.index("Security") < text.index("<details>")
    assert '```json\n  {"type": "say", "text": "aaaaaaaaaaaa… (81 characters)"}' in text
    assert "> ⚠️ **D703**" in text


def test_markdown_shows_words_as_they_are() -> None:
    text = render_markdown(made(ACCEPTED))
    assert "It \\*is\\* meant." in text
    assert "#### " in text.replace("🔴 Breaking", "")
    assert "Breaking" not in text

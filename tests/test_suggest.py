import pytest

from channeld.config.aliases import ALIASES
from channeld.suggest import candidates, closest, did_you_mean


@pytest.mark.parametrize(
    ("word", "legal", "meant"),
    [
        ("chanels", ["channels", "auth"], "channels"),
        ("rom_id", ["room_id", "other"], "room_id"),
        ("Bind", ["bind"], "bind"),
        ("json-depth", ["json_depth"], "json_depth"),
        ("desc", ["description"], None),
        ("foo", ["path", "auth"], None),
        ("x", ["room_id"], None),
        ("x" * 100_000, ["xxxx"], None),
    ],
)
def test_a_typo_has_a_closest_name(word: str, legal: list[str], meant: str | None) -> None:
    assert closest(word, legal) == meant


@pytest.mark.parametrize(
    ("word", "legal", "meant"),
    [
        ("desc", ["description"], "description"),
        ("listen", ["bind", "tls"], "bind"),
        ("room", ["room_x", "rooms"], "rooms"),
        ("listen", ["tls"], None),
    ],
)
def test_aliases_are_for_names_that_are_legal(
    word: str, legal: list[str], meant: str | None
) -> None:
    assert closest(word, legal, aliases=ALIASES) == meant


def test_candidates_come_nearest_first_and_keep_their_spelling() -> None:
    assert candidates("maxlength", ["maxLength", "minLength", "type"]) == ["maxLength", "minLength"]
    assert candidates("other", ["then"], cutoff=0.75) == []


def test_the_help_names_the_closest_or_says_what_else() -> None:
    assert did_you_mean("txt", ["text"]) == "did you mean `text`?"
    assert did_you_mean("x", ["text"], "look it up") == "look it up"

import pytest

from channeld.config.aliases import ALIASES, NESTED, NOTES, WORDS, Note
from channeld.config.language import LANGUAGE, elsewhere, has_key
from channeld.suggest import folded


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_lead_to_keys_of_the_language(alias: str) -> None:
    assert all(elsewhere(key) for key in ALIASES[alias])


@pytest.mark.parametrize("flat", NESTED)
def test_flat_keys_lead_to_keys_of_the_language(flat: str) -> None:
    holder, key = NESTED[flat]
    rules = [LANGUAGE, LANGUAGE["properties"]["server"]]
    rules += [LANGUAGE["properties"][name]["additionalProperties"] for name in ("auth", "channels")]
    rules += [branch for rule in rules for branch in rule.get("anyOf", ())]
    assert any(has_key(rule, holder, key) for rule in rules)


@pytest.mark.parametrize("name", [*ALIASES, *NESTED, *NOTES, *WORDS])
def test_names_are_written_as_they_are_looked_up(name: str) -> None:
    assert folded(name) == name


def test_a_note_is_about_one_section_or_all() -> None:
    note = Note("remove it", "messages")
    assert note.fits("/channels/a/messages/say")
    assert not note.fits("/channels/a")
    assert Note("remove it").fits("/channels/a")

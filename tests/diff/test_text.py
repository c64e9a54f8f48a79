from channeld.diff.text import counted, render_text, shortened, summary
from channeld.protocol.frames import Json
from tests.diff.kit import BASE, instead, outcome

LONG: Json = {"text": "a" * 2000}


def test_long_values_are_cut_with_a_word_on_their_length() -> None:
    assert shortened(LONG) == '{"text": "aaaaaaaaaaaa… (2000 characters)"}'
    assert shortened([*range(20)]).endswith('7, "… (20 items)"]')
    assert shortened({f"f{i}": i for i in range(20)}).endswith('"…": "(20 fields)"}')
    assert len(shortened([["x" * 50] * 8] * 8)) == 400
    assert shortened("/rooms/" + "a" * 200) == "/rooms/" + "a" * 92 + "…"
    assert shortened({"a": "\u202e\n"}) == '{"a": "\ufffd\\n"}'


def test_the_last_lines_count_and_tell_how_to_let_pass() -> None:
    new = instead("auth: none", "auth: none\n    limits: {rooms_per_connection: 1}")
    found, texts = outcome(BASE, new)
    *_, count, accept = render_text(found, texts, colour=False).splitlines()
    assert count == summary(found) == "1 breaking from old.yaml to new.yaml"
    assert '[{code: D501, path: "/channels/room/limits/rooms_per_connection", reason: …}]' in accept


def test_colours_are_all_that_colour_adds() -> None:
    found, texts = outcome(BASE, instead("route: room", "route: global"))
    plain, coloured = (render_text(found, texts, colour=colour) for colour in (False, True))
    assert "\x1b[1;33mdangerous[D601]\x1b[0m" in coloured
    codes = ("0", "1", "2", "1;31", "1;32", "1;33", "1;34")
    for code in codes:
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == plain


def test_nothing_is_said_in_one_line() -> None:
    found, texts = outcome(BASE, BASE)
    assert counted(found.changes)["breaking"] == 0
    text = render_text(found, texts, colour=False)
    assert text == "nothing changed for clients from old.yaml to new.yaml\n"

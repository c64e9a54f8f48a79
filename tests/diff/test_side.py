from channeld.diff.side import Side, Unloaded, load_side
from tests.diff.kit import BASE, loaded, memory, side


def test_a_side_has_its_files_and_places_under_a_prefix() -> None:
    found = load_side("c.yaml", memory({"c.yaml": BASE}), name="git:x", prefix="x:", environ={})
    assert isinstance(found, Side)
    assert found.files == ["x:c.yaml"]
    assert found.text("x:c.yaml") == BASE
    assert found.text("c.yaml") is None
    assert found.place("/channels/room", key=True).file == "x:c.yaml"


def test_included_files_and_schema_files_are_read_from_the_same_place() -> None:
    files = {
        "app/more.yaml": BASE.partition("\n")[2].replace(
            "{type: object, required: [text], properties: {text: {type: string}}}", "say.json"
        ),
        "app/say.json": '{"type": "object"}',
    }
    text = "channeld: 1\ninclude: [more.yaml]\nchannels: {}\n"
    found = side(text, "app/channels.yaml", files)
    assert found.files == ["app/channels.yaml", "app/more.yaml", "app/say.json"]
    assert found.place("/channels/room", key=True).file == "app/more.yaml"
    assert found.sources.written("/channels/room/auth") == "none"


def test_what_cannot_be_understood_at_all() -> None:
    found = loaded("channels: [", "c.yaml")
    assert isinstance(found, Unloaded)
    assert (found.unreadable, len(found.report.errors)) == ("", 1)
    gone = load_side("none.yaml", memory({}), name="none.yaml", environ={})
    assert isinstance(gone, Unloaded)
    assert gone.unreadable == "no such file"


def test_what_is_wrong_is_left_out() -> None:
    found = loaded(BASE + "  bad: {path: /bad, auth: none, colour: red}\n", "c.yaml")
    assert isinstance(found, Side)
    assert found.report.errors != []
    assert "room" in found.config.channels


def test_values_of_variables_that_are_not_set_are_unknown() -> None:
    found = side(BASE + "server: {bind: '${NONE}'}\n")
    assert not found.is_known("/server")
    assert found.is_known("/channels")

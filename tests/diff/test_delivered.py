import pytest

from channeld.config.model import Message, Route
from channeld.diff.comparison import Comparison
from channeld.diff.delivered import Source, delivered, fields, is_routed, source
from channeld.protocol.frames import Json
from channeld.schema.compare.compare import compare
from tests.diff.kit import BASE, node_of, side

ROOM = (Route(to="room"),)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{now}", Source(text="{now}", kind="string")),
        ("{now_ms}", Source(text="{now_ms}", kind="integer")),
        ("{claims.name?}", Source(text="{claims.name}", optional=True)),
        ("by {user.id}", Source(text="by {user.id}", kind="string")),
        (1, Source(text="= 1", kind="integer")),
        ({"a": "{now}"}, Source(text="{'a': '{now}'}", kind="object")),
    ],
)
def test_what_a_template_gives(template: Json, expected: Source) -> None:
    assert source(template) == expected


def test_a_message_as_it_was_sent_with_a_stamp_over_it() -> None:
    message = Message(schema=True, route=ROOM, stamp={"at": "{now}", "text": "{uuid}"})
    found = delivered("say", message, {"text": True, "to": False})
    assert (found.type, found.as_sent) == ("say", True)
    assert [name for name, each in found.fields.items() if each.as_sent] == ["to"]
    assert found.fields["to"].optional


def test_an_emitted_frame_has_its_own_fields_and_type() -> None:
    message = Message(schema=True, route=ROOM, emit={"type": "said", "body": "{message.text}"})
    found = delivered("say", message, {"text": True})
    assert (found.type, list(found.fields), found.as_sent) == ("said", ["body"], False)


@pytest.mark.parametrize(
    ("more", "passes"),
    [
        ({}, True),
        ({"stamp": {"text": "{uuid}"}}, False),
        ({"stamp": {"other": "{uuid}"}}, True),
        ({"emit": {"body": "{message.text}"}}, True),
        ({"emit": {"body": "{message.other}"}}, False),
    ],
)
def test_whether_receivers_feel_a_difference(
    more: dict[str, dict[str, Json]], passes: bool
) -> None:
    old, new = (
        node_of({"properties": {"text": {"type": "string", "maxLength": n}}}) for n in (1, 2)
    )
    (fact,) = compare(old, new)
    message = Message(schema=True, route=ROOM, emit=more.get("emit"), stamp=more.get("stamp"))
    assert delivered("say", message, {"text": True}).passes(fact) is passes


def test_a_message_for_the_hook_or_the_sender_alone_is_not_routed() -> None:
    assert is_routed(Message(schema=True, route=ROOM))
    assert not is_routed(Message(schema=True))
    assert not is_routed(Message(schema=True, route=(Route(to="sender"),)))


def changes_of(old: dict[str, Json], new: dict[str, Json]) -> list[tuple[str, str]]:
    comparison = Comparison(side(BASE), side(BASE))
    sides = [{name: source(value) for name, value in each.items()} for each in (old, new)]
    changes = fields(comparison, sides[0], sides[1], ("/channels/room", "/channels/room"), "it")
    return [(change.code, str(change.level)) for change in changes]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": "{now}"}, {"a": "{now}"}, []),
        ({"a": "{now}"}, {}, [("D603", "breaking")]),
        ({}, {"a": "{now}"}, [("D604", "safe")]),
        ({"a": "{now}"}, {"a": "{now_ms}"}, [("D605", "breaking")]),
        ({"a": "{claims.a}"}, {"a": "{claims.b}"}, [("D605", "dangerous")]),
        ({"a": "{claims.a}"}, {"a": "{claims.a?}"}, [("D605", "breaking")]),
        ({"a": "{claims.a?}"}, {"a": "{claims.a}"}, [("D605", "safe")]),
        ({"a": 1}, {"a": "1"}, [("D605", "breaking")]),
    ],
)
def test_fields_that_the_server_makes(
    old: dict[str, Json], new: dict[str, Json], expected: list[tuple[str, str]]
) -> None:
    assert changes_of(old, new) == expected

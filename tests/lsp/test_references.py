import pytest

from channeld.lsp.references import (
    NameKind,
    channel_of,
    is_schema,
    is_template,
    kind_at,
    message_of,
    params_of,
)
from channeld.pointer import tokens


@pytest.mark.parametrize(
    ("pointer", "kind"),
    [
        ("/channels/a/auth", NameKind.AUTHENTICATOR),
        ("/channels/a/auth/0", NameKind.AUTHENTICATOR),
        ("/channels/a/auth/use", NameKind.AUTHENTICATOR),
        ("/channels/a/auth/optional", None),
        ("/auth/s/hook/backend", NameKind.BACKEND),
        ("/channels/a/messages/b/route/0/channel", NameKind.CHANNEL),
        ("/webhooks/0/channels/1", NameKind.CHANNEL),
        ("/channels/a/events/b/clears/0", NameKind.MESSAGE),
        ("/channels/a/messages/b~1c/emit/type", NameKind.MESSAGE),
        ("/channels/a/messages/b/emit/other", None),
        ("/channels/a/messages/b/hook", NameKind.HOOK),
        ("/hooks/lifespan/0/call", NameKind.HOOK),
        ("/channels/a/events/b/schema", NameKind.SCHEMA),
        ("/schemas/a/properties/b/$ref", NameKind.SCHEMA),
        ("/$ref", None),
        ("/include/0", NameKind.FILE),
        ("/auth/s/secret/file", NameKind.FILE),
    ],
)
def test_places_name_things(pointer: str, kind: NameKind | None) -> None:
    assert kind_at(pointer) is kind


def test_schemas_are_known_by_their_place() -> None:
    assert is_schema("/schemas/a")
    assert is_schema("/channels/a/query/view/type")
    assert not is_schema("/channels/a/query")
    assert not is_schema("/schemas")


def test_templates_are_known_by_their_place() -> None:
    assert is_template("/channels/a/rooms/join/0")
    assert is_template("/channels/a/messages/b/emit/x/y")
    assert is_template("/auth/s/user")
    assert not is_template("/channels/a/path")
    assert not is_template("/channels/a/messages/b/route/to")
    assert not is_template("/channels/a/messages/b/schema/pattern")


def test_places_belong_to_channels_and_messages() -> None:
    assert channel_of("/channels/a~1b/path") == "a/b"
    assert channel_of("/auth/a") == ""
    assert message_of(tokens("/channels/a/events/b/key")) == ("a", "events", "b")
    assert message_of(tokens("/channels/a/events")) is None


def test_params_are_those_of_the_path() -> None:
    assert params_of("/rooms/{id}/{rest...}") == ("id", "rest")
    assert params_of("/rooms/{id") == ()
    assert params_of(None) == ()

from pathlib import Path

from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report
from channeld.lsp.conversation import Conversation
from tests.lsp.parts import SCENARIOS, opened


def conversation(chat: Path, text: str = SCENARIOS) -> Conversation:
    projects, name = opened(chat.parent / "chat.test.yaml", text)
    tree = parse(text, name, Report())
    assert tree is not None
    return Conversation(projects, name, tree)


def test_its_configuration_is_named_or_lies_above(chat: Path) -> None:
    assert conversation(chat).root == str(chat)
    named = conversation(chat, "config: other/channels.yaml\n" + SCENARIOS)
    assert named.root == str(chat.parent / "other/channels.yaml")
    chat.unlink()
    assert str(chat.parent) not in conversation(chat).root


def test_channels_are_known_by_their_paths(chat: Path) -> None:
    spoken = conversation(chat)
    assert spoken.paths() == {"room": "/rooms/{room_id}", "lobby": "/lobby"}
    assert spoken.channels_of_clients() == {("0", "ann"): {"room"}, ("0", "eve"): {"lobby"}}


def test_steps_belong_to_channels(chat: Path) -> None:
    spoken = conversation(chat)
    assert spoken.channels_at("/scenarios/0/steps/0/ann/send/type") == ["room"]
    assert spoken.channels_at("/scenarios/0/steps/2/publish/event/type") == ["lobby"]
    assert spoken.channels_at("/scenarios/0/steps/0/nobody/send/type") == []
    assert spoken.channels_at("/scenarios/0/name") == []


def test_a_client_that_connects_elsewhere_is_on_both_channels(chat: Path) -> None:
    text = SCENARIOS + "      - ann: {connect: {path: /lobby?x=1}}\n"
    assert conversation(chat, text).channels_of_clients()["0", "ann"] == {"room", "lobby"}


def test_hooks_and_channels_are_those_of_the_configuration(chat: Path) -> None:
    spoken = conversation(chat)
    assert spoken.hooks() == ["hooks:welcome", "hooks:no_shouting"]
    view = spoken.view_of("lobby")
    assert view is not None
    assert view.names("channels", "lobby", "events") == ["news"]
    assert spoken.view_of("other") is None


def test_included_channels_count(chat: Path) -> None:
    chat.write_text(chat.read_text() + "include: [more.yaml]\n")
    (chat.parent / "more.yaml").write_text("channels:\n  more:\n    path: '/more/{id}'\n")
    assert conversation(chat).paths()["more"] == "/more/{id}"

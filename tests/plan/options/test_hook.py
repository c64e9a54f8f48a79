from channeld.config.model import HookRef, Message
from channeld.plan.options.hook import HookOption

NONE = Message(schema=True)


def hooked(call: str) -> Message:
    return Message(schema=True, hook=HookRef(call=call))


def test_another_hook_may_do_anything() -> None:
    option = HookOption()
    assert [*option.differences("say", hooked("a:f"), hooked("a:f"))] == []
    for was, now, label in (
        (NONE, hooked("a:f"), "none before"),
        (hooked("a:f"), NONE, "a:f before"),
    ):
        (found,) = option.differences("say", was, now)
        assert (found.code, found.level) == ("D701", "dangerous")
        assert found.label.startswith(label)


def test_clients_are_not_told_of_it() -> None:
    assert HookOption().shown(hooked("a:f")) is None
    assert HookOption().words(hooked("a:f")) == ""


def test_scenarios_may_cover_the_call() -> None:
    assert [*HookOption().outcomes("say", hooked("a:f"))] == [("hook", "a:f")]
    assert [*HookOption().outcomes("say", NONE)] == []

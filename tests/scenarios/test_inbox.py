from itertools import permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.scenarios.inbox import ClientInbox, Mismatch, Nothing, Received, Taken
from channeld.scenarios.model import Pattern
from channeld.scenarios.outcome import TimelineEntry


def inbox(*frames: dict[str, Any], ignore: tuple[dict[str, Any], ...] = ()) -> ClientInbox:
    patterns = [Pattern(value=one, pointer="") for one in ignore]
    it = ClientInbox(captured={}, schemas={}, ignore=patterns)
    for frame in frames:
        entry = TimelineEntry(time=0, who="ann", mark="<", text="")
        it.put(Received(time=0, frame=frame, origin=None, entry=entry))
    return it


def patterns(*values: dict[str, Any]) -> list[Pattern]:
    return [Pattern(value=value, pointer=f"/{n}") for n, value in enumerate(values)]


def take(it: ClientInbox, *values: dict[str, Any], ordered: bool = True) -> Any:
    return it.take(patterns(*values), ordered=ordered)


SAY, ACK = {"type": "say", "n": 1}, {"type": "ack", "id": 1}


def test_frames_are_consumed_in_order() -> None:
    it = inbox(SAY, {"type": "say", "n": 2})
    assert isinstance(take(it, {"n": 1}, {"n": 2}), Taken)
    assert it.waiting == []


def test_what_the_server_speaks_is_passed_over_unless_it_is_wanted() -> None:
    it = inbox(ACK, SAY)
    assert isinstance(take(it, {"type": "say"}), Taken)
    assert [one.fate for one in it.past] == ["passed over", "consumed"]
    assert isinstance(take(inbox(ACK, SAY), {"type": "ack"}), Taken)


def test_the_servers_own_frames_are_wanted_by_their_type_only() -> None:
    it = inbox({"type": "subscribed", "pos": "1"}, {"type": "say", "pos": "2"})
    assert take(it, {"pos": "$any"}).frames[0].frame["type"] == "say"
    subscribed = {"type": "subscribed", "pos": "1"}
    assert isinstance(take(inbox(subscribed), {"$exact": subscribed}), Taken)
    assert isinstance(take(inbox(subscribed), {"type": {"$regex": "^sub"}}), Taken)
    assert inbox(subscribed).first_like(Pattern(value={"pos": "1"}, pointer="")) is None


def test_what_is_ignored_is_passed_over() -> None:
    it = inbox({"type": "welcome"}, SAY, ignore=({"type": "welcome"},))
    assert isinstance(take(it, SAY), Taken)
    assert inbox({"type": "welcome"}, ignore=({"type": "welcome"},)).left_over() == []


def test_errors_and_replies_are_not_passed_over() -> None:
    for kind in ("error", "reply"):
        found = take(inbox({"type": kind}, SAY), SAY)
        assert isinstance(found, Mismatch)
        assert found.received.frame == {"type": kind}


def test_a_mismatch_consumes_nothing_and_captures_nothing() -> None:
    it = inbox(SAY, {"type": "say", "n": 2})
    found = take(it, {"n": {"$capture": "x"}}, {"n": 3})
    assert isinstance(found, Mismatch)
    assert found.pattern.pointer == "/1"
    assert (len(it.waiting), it.captured) == (2, {})


def test_captures_are_kept_and_can_be_referred_to_at_once() -> None:
    it = inbox(SAY, ACK)
    assert isinstance(
        take(it, {"n": {"$capture": "x"}}, {"type": "ack", "id": {"$ref": "x"}}), Taken
    )
    assert it.captured == {"x": 1}


def test_nothing_tells_the_nearest_of_the_wanted_type() -> None:
    found = take(inbox(ACK, {"type": "pong"}), {"type": "ack", "id": 2})
    assert isinstance(found, Nothing)
    assert found.nearest is not None
    assert found.nearest.frame == ACK
    assert take(inbox({"type": "pong"}), {"type": "ack"}).nearest is None


def test_left_over_is_what_had_to_be_consumed() -> None:
    assert [one.frame for one in inbox(ACK, SAY).left_over()] == [SAY]


def test_the_first_like_a_pattern_may_be_the_servers_own() -> None:
    it = inbox(ACK, SAY)
    first = it.first_like(None)
    assert first is not None
    assert first.frame == SAY
    like = it.first_like(Pattern(value={"type": "ack"}, pointer=""))
    assert like is not None
    assert like.frame == ACK
    assert it.first_like(Pattern(value={"type": "nope"}, pointer="")) is None


def test_unordered_finds_the_assignment_that_fits_all() -> None:
    it = inbox({"type": "a", "n": 1}, {"type": "a", "n": 2})
    assert isinstance(take(it, {"type": "a"}, {"n": 1}, ordered=False), Taken)


def test_unordered_refuses_a_frame_that_fits_none() -> None:
    found = take(inbox({"type": "a"}, {"type": "b"}), {"type": "b"}, {"type": "c"}, ordered=False)
    assert isinstance(found, Mismatch)
    assert found.received.frame == {"type": "a"}


FRAMES = st.lists(st.fixed_dictionaries({"type": st.just("m"), "a": st.integers(0, 1), "b": st.integers(0, 1)}), max_size=4)  # fmt: skip
WANTED = st.lists(
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 1), max_size=2), min_size=1, max_size=4
)


@given(FRAMES, WANTED)
@settings(max_examples=200, deadline=None)
def test_unordered_takes_what_some_order_takes(
    frames: list[dict[str, Any]], wanted: list[dict[str, Any]]
) -> None:
    in_some_order = any(
        isinstance(take(inbox(*frames), *order), Taken) for order in permutations(wanted)
    )
    assert isinstance(take(inbox(*frames), *wanted, ordered=False), Taken) is in_some_order

from collections.abc import Callable
from typing import Any

import pytest

from channeld.broker.broker import History, Topic
from channeld.broker.publish_options import PublishOptions
from channeld.broker.redis import session

MakeServer = Callable[[str], Any]
KEPT = PublishOptions(History(size=5, ttl=60.0))
TOPICS = [Topic("room", "lobby", name) for name in "abc"]


class Seen:
    """What the sessions are asked for meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.channels: list[int] = []
        self.commands: list[int] = []
        self.runs: list[list[int]] = []
        of = session.Session
        subscribe, perform, publish = of.subscribe, of.perform, of.publish

        def note_channels(one: session.Session, channels: Any) -> None:
            self.channels.append(len(channels))
            subscribe(one, channels)

        def note_commands(one: session.Session, commands: Any, then: Any) -> None:
            self.commands.append(len(commands))
            perform(one, commands, then)

        def note_runs(one: session.Session, runs: Any, then: Any) -> None:
            self.runs.append([len(run) for run in runs])
            publish(one, runs, then)

        monkeypatch.setattr(of, "subscribe", note_channels)
        monkeypatch.setattr(of, "perform", note_commands)
        monkeypatch.setattr(of, "publish", note_runs)


async def settle(answers: list[Any]) -> None:
    for answer in answers:
        await answer


async def test_what_a_turn_brings_leaves_together_at_its_end(
    shared_servers: MakeServer, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await one_node(shared_servers("valkey").url)
    ends: list[Callable[[], None]] = []
    monkeypatch.setattr(one.broker, "when_turn_ends", ends.append)
    seen = Seen(monkeypatch)
    answers = [one.broker.subscribe(topic) for topic in TOPICS]
    answers += [one.broker.publish(topic, b"1", KEPT) for topic in TOPICS]
    assert (seen.channels, seen.commands, seen.runs) == ([], [], [])
    for end in ends:
        end()
    monkeypatch.undo()
    await settle(answers)
    # Three publications are one script call.
    assert (seen.channels, seen.commands, seen.runs) == ([3], [1], [])


async def test_what_is_not_kept_needs_no_script_and_shares_envelopes(
    shared_servers: MakeServer, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await one_node(shared_servers("valkey").url)
    await settle([one.broker.subscribe(topic) for topic in TOPICS[:2]])
    ends: list[Callable[[], None]] = []
    monkeypatch.setattr(one.broker, "when_turn_ends", ends.append)
    seen = Seen(monkeypatch)
    here, there = TOPICS[:2]
    answers = [
        one.broker.publish(here, payload, PublishOptions(skip="c")) for payload in (b"1", b"")
    ]
    answers += [one.broker.publish(there, b"3"), one.broker.publish(here, b"4")]
    for end in ends:
        end()
    monkeypatch.undo()
    await settle(answers)
    await one.until(lambda: len(one.delivered) == 4)
    assert (seen.commands, seen.runs) == ([], [[2, 1, 1]])
    told = [(topic, pub.payload, pub.skip, pub.position) for topic, pub in one.delivered]
    assert told == [
        (here, b"1", "c", None),
        (here, b"", "c", None),
        (there, b"3", None, None),
        (here, b"4", None, None),
    ]


async def test_a_join_is_one_call_whose_answers_are_those_of_its_parts(
    shared_servers: MakeServer, two_nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await two_nodes(shared_servers("valkey").url)
    room, keep = TOPICS[0], History(size=5, ttl=60.0)
    first = await two.broker.publish(room, b"1", PublishOptions(keep))
    await two.broker.publish(room, b"2", PublishOptions(keep))
    await two.broker.owe("ann", {"messages": 30.0})
    for user, before in (("ann", []), ("bob", ["ann"])):
        ends: list[Callable[[], None]] = []
        monkeypatch.setattr(one.broker, "when_turn_ends", ends.append)
        seen = Seen(monkeypatch)
        debt = one.broker.redeem(user)
        one.broker.subscribe(room)
        page = one.broker.since(room, first, keep)
        entered = one.broker.enter(room, user, "c", {"of": user})
        for end in ends:
            end()
        monkeypatch.undo()
        await entered
        assert seen.commands == [1]
        assert [kept.payload for kept in (await page).frames] == [b"2"]
        assert bool(await debt) == (not before)
        present = one.broker.present(room)
        assert [entry.user for entry in present] == [*before, user]
        assert present[-1].info == {"of": user}

import pytest

from channeld.scenarios.outcome import Status
from tests.scenarios.kit import outcome, problem

ONE = "    clients: {ann: {path: /rooms/a, user: ann, claims: {name: Ann}}}\n"
PASSING = [
    # A subset that must not come does not care for others.
    "- ann: {send: {type: say, text: hi}}\n- bob: {absent: {text: ho}}\n- bob: {expect: {text: hi}}\n- ann: {expect: {text: hi}}",
    # Nothing at all does not mean what the server itself speaks.
    "- ann: {send: {type: ping, id: 1}}\n- ann: absent\n- ann: {expect: {type: pong, id: 1}}",
    # A frame that takes its time is waited for.
    "- ann: {send: {type: say, text: soon}}\n- bob: absent\n- bob: {expect: {text: soon}, within: 2s}\n- ann: {expect: {text: soon}}",
    # Closing, and coming back to what was missed.
    ("- bob: close\n- ann: {send: {type: say, text: one}}\n- ann: {expect: {pos: {$capture: at}}}\n- bob: {connect: {since: last}}\n"
     "- bob: {expect: {text: one, pos: {$ref: at}}}"),
    ("- ann: {send: {type: say, text: one}}\n- ann: {expect: {pos: {$capture: at}}}\n- bob: {expect: {text: one}}\n- bob: close\n"
     "- ann: {send: {type: say, text: two}}\n- ann: {expect: {text: two}}\n- bob: {connect: {since: {$ref: at}}}\n- bob: {expect: {text: two}}"),
    # Without `since` nothing is recovered.
    "- bob: close\n- ann: {send: {type: say, text: one}}\n- ann: {expect: {text: one}}\n- bob: connect\n- bob: absent",
    # What was captured can be sent.
    ("- ann: {send: {type: say, text: hi}}\n- bob: {expect: {from: {$capture: who}}}\n- ann: {expect: {type: say}}\n"
     "- bob: {send: {type: say, text: {$ref: who}}}\n- bob: {expect: {text: ann}}\n- ann: {expect: {text: ann}}"),
    # In any order.
    ("- ann: {send: {type: poke, to: bob}}\n- ann: {send: {type: poke, to: eve}}\n- ann: {expect_unordered: [{to: eve}, {to: bob}]}\n"
     "- bob: {expect: {type: poke}}\n- eve: {expect: {type: poke}}"),
    # What an application publishes.
    "- publish: {channel: room, room: a, event: {type: note, text: hi}}\n- ann: {expect: {type: note}}\n- bob: {expect: {type: note}}",
    "- publish: {channel: room, user: eve, event: {type: note, text: hi}}\n- eve: {expect: {type: note}}",
    "- publish: {channel: room, to: room, room: a, event: {type: nope}, refused: true}",
    "- publish: {channel: nowhere, event: {type: nope}, refused: true}",
    # Broken text.
    "- ann: {send_raw: '{'}\n- ann: {expect: {type: error, code: INVALID_JSON}}",
    # A close by the server, waited for.
    "- ann: {send: {type: say, text: leave}}\n- bob: {expect: {text: leave}}\n- ann: {expect_close: {code: 4901, reason: come back}}\n- ann: connect",
]  # fmt: skip


@pytest.mark.parametrize("steps", PASSING)
def test_what_is_as_it_should_be_passes(steps: str) -> None:
    found = outcome(steps)
    assert [one.headline for one in found.problems] == []
    assert found.status is Status.PASS


def test_within_stops_as_soon_as_it_has_come() -> None:
    found = outcome(
        "- ann: {send: {type: say, text: soon}}\n- ann: {expect: {text: soon}, within: 1h}", ONE
    )
    assert (found.status, found.virtual) == (Status.PASS, 2.0)


def test_within_is_not_a_moment_longer() -> None:
    steps = "- ann: {send: {type: say, text: soon}}\n- ann: {expect: {text: soon}, within: 1999ms}"
    found = problem(steps, ONE)
    assert found.label == "nothing like it arrived within 2s"


def test_a_close_is_waited_for() -> None:
    clients = "    clients: {ann: {path: /rooms/a}}\n"
    steps = "- ann: {expect_close: 4401, within: 10s}\n- ann: {expect: {type: error, code: UNAUTHORIZED}}"
    found = outcome(steps, clients)
    assert (found.status, found.virtual) == (Status.PASS, 10.0)


def test_a_client_that_closed_was_not_closed_by_the_server() -> None:
    found = problem("- ann: close\n- ann: {expect_close: 1000}", ONE)
    assert found.label == "the client closed it itself"


def test_the_timeline_shows_no_token() -> None:
    steps = (
        "- ann: {send: {type: authenticate, token: sesame}}\n- ann: {expect: {type: authenticated}}"
    )
    found = outcome(steps, "    clients: {ann: {path: /rooms/a, user: ann, claims: {name: A}}}\n")
    assert found.status is not Status.PASS
    assert not any("sesame" in one.text for one in found.timeline)


def test_coming_back_may_be_refused() -> None:
    steps = "- ann: close\n- ann: {connect: {token: nonsense, refused: 4401}}"
    assert outcome(steps, ONE).status is Status.PASS
    found = problem("- ann: close\n- ann: {connect: {refused: 4401}}", ONE)
    assert found.label == "it was accepted"

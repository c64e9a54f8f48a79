"""Each attack in short: attackers get what is documented, a bystander its echo, and the server stays as it was."""

import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.hostile import handshakes
from tests.hostile.ground import CANARY, Ground, opened
from tests.hostile.scenarios import SCENARIOS, Scenario
from tests.hostile.wire import GOODBYE, PING, Answers, frame, say

NAMES = [scenario.name for scenario in SCENARIOS]
TWINS = {scenario.twin.__name__: scenario for scenario in SCENARIOS if scenario.twin is not None}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_an_attack_is_answered_and_leaves_nothing(
    scenario: Scenario, request: pytest.FixtureRequest, pause: threading.Event
) -> None:
    ground: Ground = request.getfixturevalue(scenario.home)
    siege = ground.besiege(
        lambda ground: scenario.attack(ground, scenario.short), lambda: pause.wait(0.1)
    )
    assert scenario.judge(siege.answers) == []
    assert siege.growth < scenario.growth
    assert siege.lines <= 20 + scenario.lines
    assert all(spell.count for spell in siege.spells)


def test_no_token_gets_into_the_log(ground: Ground) -> None:
    start = len(ground.served.err.lines)
    handshakes.bad_tokens(ground, 12)
    ground.served.event("auth_refused", start)
    assert CANARY not in ground.served.err.text()
    assert CANARY not in ground.served.out.text()


def test_what_a_client_writes_stays_on_one_line_of_the_log(ground: Ground) -> None:
    start = len(ground.served.err.lines)
    with ground.raw() as client:
        client.pour([handshakes.BAD_HEADS[10]])
        client.read_out()
    ground.served.event("handshake_refused", start)
    assert "\x1b" not in ground.served.err.text()
    assert all(line.startswith("{") for line in ground.served.err.lines[start:])


def test_a_ping_and_a_second_violation_after_the_first_do_no_harm(ground: Ground) -> None:
    large = frame(b"x" * 70_000)
    with ground.raw().open("/echo") as client:
        client.pour([large + frame(b"", PING) + large + frame(b"", 0x83) + GOODBYE])
        answers = client.read_out().answers
    assert answers["close 1009"] == 1
    with ground.raw().open("/echo", rest=say("echo")) as other:
        assert other.read_until("echo").answers["echo"] == 1


def test_without_file_descriptors_the_server_waits_and_recovers() -> None:
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), files=40) as ground:
        answers = handshakes.too_many_files(ground, 100)
        assert answers["accept_failed"] == answers["echo"] == 1
        assert ground.bystander.ask().count
        failures = ground.served.events("accept_failed")
        assert 1 <= len(failures) < 30


def test_a_judge_knows_an_answer_that_is_not_documented() -> None:
    scenario = SCENARIOS[0]
    good: Answers = Counter(dict.fromkeys(scenario.must, 1))
    assert scenario.judge(good) == []
    assert len(scenario.judge(good + Counter({"close 1011": 1}))) == 1
    assert len(scenario.judge(good - Counter({"echo": 1}))) == 1


def test_a_siege_of_a_server_that_dies_is_no_success(pause: threading.Event) -> None:
    def kill(ground: Ground) -> Answers:
        ground.served.process.kill()
        return Counter()

    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as ground:
        with pytest.raises((AssertionError, OSError)):
            ground.besiege(kill, lambda: pause.wait(0))
        assert ground.served.wait() != 0


@pytest.mark.parametrize("name", TWINS)
def test_good_clients_are_refused_nothing(name: str, ground: Ground) -> None:
    scenario = TWINS[name]
    assert scenario.twin is not None
    ground.move()
    answers = scenario.twin(ground, min(scenario.short, 50))
    good = {
        "HTTP 101",
        "HTTP 200",
        "end",
        "reset",
        "close 1000",
        "echo",
        "list",
        "say",
        "history",
        "subscribed",
        "unsubscribed",
    }
    assert set(answers) <= good
    assert answers.total() > 10

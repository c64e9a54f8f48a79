import random
import signal
from types import FrameType

import pytest

from channeld.scenarios.outcome import Status
from channeld.scenarios.suite import Options, Runs, read_text
from tests.scenarios.kit import CASES, FILE, ROOM, outcome, problem


def capped(text: str, seconds: float) -> tuple[Status, str]:
    steps = f"      - ann: {{send: {{type: say, text: {text}}}}}\n      - bob: absent\n"
    name = str(CASES / FILE)
    parsed = read_text(f"scenarios:\n  - name: it\n{ROOM}    steps:\n{steps}", name)
    found = Runs(Options(cap=seconds)).run(parsed).outcomes[0]
    return found.status, found.problems[0].headline


@pytest.mark.slow
@pytest.mark.parametrize("text", ["spin", "block"])
def test_a_hook_that_never_ends_is_interrupted(text: str) -> None:
    assert capped(text, 0.2) == (Status.ERROR, "it took longer than 0.2 s of real time")


def test_a_timer_that_ran_before_goes_on_afterwards() -> None:
    def on_alarm(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError

    before = signal.signal(signal.SIGALRM, on_alarm)
    timer = signal.setitimer(signal.ITIMER_REAL, 100)
    try:
        assert outcome("- advance: 1s").status is Status.PASS
        assert signal.getsignal(signal.SIGALRM) is on_alarm
        assert 50 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def test_ids_and_randomness_are_the_same_in_every_run() -> None:
    steps = "- ann: {send: {type: say, text: boom}}\n- ann: absent"
    first, second = outcome(steps), outcome(steps)
    assert [one.text for one in first.timeline] == [one.text for one in second.timeline]
    assert any("ref" in one.text for one in first.timeline)


def test_a_run_leaves_the_program_its_own_random_numbers() -> None:
    before = random.getstate()
    outcome("- ann: {send: {type: say, text: boom}}\n- ann: absent")
    assert random.getstate() == before


def test_a_wait_takes_virtual_time_only() -> None:
    found = outcome("- advance: 30d", "    clients: {ann: {path: /lobby}}\n")
    assert found.status is Status.PASS
    assert found.virtual == 30 * 86_400
    assert found.timeline == ()


def test_scenarios_do_not_see_each_other() -> None:
    for _ in range(2):
        found = outcome(
            "- ann: {send: {type: history, id: 1}}\n- ann: {expect: {type: history, frames: []}}\n"
            "- ann: {send: {type: say, text: hi}}\n- ann: {expect: {type: say}}\n- bob: {expect: {type: say}}"
        )
        assert found.status is Status.PASS


def test_an_expected_close_and_its_error_are_no_problem() -> None:
    ann = "    clients: {ann: {path: /rooms/a, user: ann, claims: {name: Ann}, expires: 60s}}\n"
    steps = "- advance: 61s\n- ann: {expect: {type: error, code: TOKEN_EXPIRED}}\n- ann: {expect_close: 4401}"
    assert outcome(steps, ann).status is Status.PASS
    first = problem("- advance: 59s\n- ann: {expect: {type: error, code: TOKEN_EXPIRED}}", ann)
    assert first.headline == "ann did not receive what was expected"


def test_an_end_that_no_step_expects_fails() -> None:
    found = problem("- ann: {send: {type: say, text: leave}}\n- bob: {expect: {type: say}}")
    assert found.headline == "the server closed ann, and no step expected it"
    assert found.label == "closed with 4901 (come back)"


def test_ignored_frames_need_not_be_consumed() -> None:
    steps = "- ann: {send: {type: say, text: hi}}"
    assert outcome(steps, more="    ignore: [{type: say}]\n").status is Status.PASS
    assert len(outcome(steps).problems) == 2


def test_stubs_stand_in_for_hooks() -> None:
    steps = "- ann: {send: {type: say, text: hi}}\n- ann: {expect: {type: error, code: %s}}\n- bob: absent"
    reject = '    hooks: {"stage_hooks:listen": {reject: {message: nay, code: NAY}}}\n'
    assert outcome(steps % "NAY", more=reject).status is Status.PASS
    raises = '    hooks: {"stage_hooks:listen": {raises: ouch}}\n'
    assert outcome(steps % "INTERNAL_ERROR", more=raises).status is Status.PASS


def test_a_stub_returns_and_takes_its_time() -> None:
    more = '    hooks: {"stage_hooks:listen": {delay: 2s, returns: {text: other}}}\n'
    steps = (
        "- ann: {send: {type: say, text: hi}}\n- bob: {absent: true, for: 1s}\n"
        "- bob: {expect: {type: say, text: other}, within: 1s}\n- ann: {expect: {type: say}}"
    )
    assert outcome(steps, more=more).status is Status.PASS
    late = more.replace("2s", "6s")
    error = "- ann: {send: {type: say, text: hi}}\n- ann: {expect: {type: error, code: INTERNAL_ERROR}, within: 5s}"
    assert outcome(error, more=late).status is Status.PASS


def test_a_stub_lets_an_authenticators_user_in() -> None:
    clients = "    clients: {bot: {path: /bots}}\n"
    more = '    hooks: {"stage_hooks:bot": {returns: {user: r2, claims: {kind: bot}}}}\n'
    assert (
        outcome("- bot: {expect: {type: authenticated, user: r2}}", clients, more).status
        is Status.PASS
    )
    other = more.replace("kind: bot", "kind: man").replace("returns", "returns")
    refused = clients.replace("}}\n", ", refused: 4403}}\n")
    assert outcome("- advance: 1s", refused, other).status is Status.PASS


def test_a_stub_is_a_lifespans_state() -> None:
    more = '    hooks: {"stage_hooks:lifespan": {returns: {said: 41}}}\n'
    steps = "- ann: {send: {type: say, text: hi}}\n- ann: {expect: {type: say}}\n- bob: {expect: {type: say}}"
    assert outcome(steps, more=more).status is Status.PASS
    nothing = '    hooks: {"stage_hooks:lifespan": {nothing: true}}\n'
    assert "AttributeError" in problem(steps, more=nothing).headline


def test_a_skipped_scenario_is_not_run() -> None:
    found = outcome("- ann: {send: {type: nope}}", more="    skip: not now\n")
    assert (found.status, found.reason, found.seconds) == (Status.SKIP, "not now", 0.0)


def test_a_connect_hook_refuses_with_its_own_code() -> None:
    clients = "    clients: {ann: {path: /rooms/a, user: ann, claims: {name: A, role: outcast}, refused: 4950}}\n"
    assert outcome("- advance: 1s", clients).status is Status.PASS

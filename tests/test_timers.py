import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.timers import Timer, Timers


def test_nothing_to_wait_for() -> None:
    timers = Timers()
    timers.run(1e9)
    assert timers.next_deadline() is None
    assert len(timers) == 0


def test_a_timer_runs_once_at_its_deadline() -> None:
    timers, calls = Timers(), list[float]()
    timers.at(5.0, calls.append)
    timers.run(4.9)
    assert (calls, timers.next_deadline(), len(timers)) == ([], 5.0, 1)
    timers.run(5.0)
    timers.run(6.0)
    assert (calls, len(timers)) == ([5.0], 0)


def test_equal_deadlines_run_in_the_order_made() -> None:
    timers, calls = Timers(), list[int]()
    for number in range(20):
        timers.at(1.0, lambda _, number=number: calls.append(number))  # type: ignore[misc]
    timers.run(1.0)
    assert calls == list(range(20))


def test_a_run_calls_so_many_and_the_next_one_goes_on() -> None:
    timers, calls = Timers(), list[int]()
    for number in range(5):
        timers.at(1.0, lambda _, number=number: calls.append(number))  # type: ignore[misc]
    timers.run(2.0, 2)
    assert (calls, len(timers), timers.next_deadline()) == ([0, 1], 3, 1.0)
    timers.run(2.0, 2)
    timers.run(2.0, 2)
    assert (calls, len(timers)) == ([0, 1, 2, 3, 4], 0)


def test_a_cancelled_timer_is_not_waited_for() -> None:
    timers, calls = Timers(), list[float]()
    timer = timers.at(1.0, calls.append)
    timers.at(2.0, calls.append)
    timer.cancel()
    timer.cancel()
    assert (timers.next_deadline(), len(timers)) == (2.0, 1)
    timers.run(3.0)
    assert (calls, len(timers)) == ([3.0], 0)


def test_a_due_timer_may_cancel_another() -> None:
    timers, calls = Timers(), list[str]()
    later: list[Timer] = []
    timers.at(1.0, lambda _: later[0].cancel())
    later.append(timers.at(2.0, lambda _: calls.append("cancelled")))
    timers.run(5.0)
    assert (calls, len(timers)) == ([], 0)


def test_cancelling_after_the_call_counts_nothing() -> None:
    timers = Timers()
    timer = timers.at(1.0, lambda _: None)
    timers.run(1.0)
    timer.cancel()
    timers.at(2.0, lambda _: None)
    assert len(timers) == 1


def test_a_timer_that_makes_one_that_is_due_does_not_hold_the_loop() -> None:
    timers, calls = Timers(), list[float]()

    def again(now: float) -> None:
        calls.append(now)
        timers.at(now, again)

    timers.at(1.0, again)
    timers.run(1.0)
    assert (calls, timers.next_deadline()) == ([1.0], 1.0)


def test_on_earlier_is_called_only_for_a_new_first() -> None:
    timers, calls = Timers(), list[float | None]()
    timers.on_earlier = lambda: calls.append(timers.next_deadline())
    for deadline in (5.0, 6.0, 5.0, 4.0):
        timers.at(deadline, lambda _: None)
    assert calls == [5.0, 4.0]


def test_cancelled_timers_do_not_pile_up() -> None:
    timers = Timers()
    timers.at(1e9, lambda _: None)
    for _ in range(10_000):
        timers.at(1e8, lambda _: None).cancel()
    assert len(timers) == 1
    assert len(timers._heap) < 200


steps = st.lists(
    st.one_of(
        st.tuples(st.just("at"), st.integers(0, 50)),
        st.tuples(st.just("cancel"), st.integers(0, 200)),
        st.tuples(st.just("run"), st.integers(0, 50)),
    ),
    max_size=300,
)


@given(steps)
def test_it_calls_what_a_sorted_list_would(moves: list[tuple[str, int]]) -> None:
    timers, calls, now = Timers(), list[int](), 0
    made: list[Timer] = []
    model: dict[int, int] = {}
    for move, number in moves:
        if move == "at":
            serial = len(made)
            timer = timers.at(now + number, lambda _, serial=serial: calls.append(serial))  # type: ignore[misc]
            made.append(timer)
            model[serial] = now + number
        elif move == "cancel" and made:
            made[number % len(made)].cancel()
            model.pop(number % len(made), None)
        elif move == "run":
            now += number
            due = sorted((at, serial) for serial, at in model.items() if at <= now)
            calls.clear()
            timers.run(now)
            assert calls == [serial for _, serial in due]
            model = {serial: at for serial, at in model.items() if at > now}
        assert len(timers) == len(model)
        assert timers.next_deadline() == min(model.values(), default=None)


def test_one_that_raises_does_not_cancel_the_others_that_are_due() -> None:
    timers, calls = Timers(), list[float]()

    def fail(_now: float) -> None:
        raise KeyError("a mistake")

    for deadline in (1.0, 2.0):
        timers.at(deadline, fail)
        timers.at(deadline, calls.append)
    with pytest.raises(ExceptionGroup) as raised:
        timers.run(5.0)
    assert [type(error) for error in raised.value.exceptions] == [KeyError, KeyError]
    assert (calls, len(timers)) == ([5.0, 5.0], 0)


def test_equal_deadlines_keep_their_order_where_others_were_cancelled_and_a_run_is_short() -> None:
    timers, calls = Timers(), list[int]()
    made = [timers.at(1.0, lambda _, n=n: calls.append(n)) for n in range(40)]  # type: ignore[misc]
    for timer in made[::3]:
        timer.cancel()
    timers.at(0.5, lambda _: calls.append(-1))
    left = [-1, *(n for n in range(40) if n % 3)]
    for done in range(0, len(left), 4):
        timers.run(2.0, 4)
        assert calls == left[: done + 4]

from channeld.broker.once import MOST_KEYS, Once, OnceKeys
from tests.broker.conftest import FakeClock


def test_owners_whose_keys_are_all_over_are_forgotten() -> None:
    clock = FakeClock()
    keys = OnceKeys(clock)
    for number in range(MOST_KEYS):
        assert keys.take(Once(f"{number}", "k", 1.0))
    assert keys.owners() == MOST_KEYS
    clock.now += 2
    assert keys.take(Once("late", "k", 1.0))
    assert keys.owners() == 1


def test_a_key_that_is_taken_again_is_the_newest() -> None:
    clock = FakeClock()
    keys = OnceKeys(clock)
    assert keys.take(Once("o", "first", 1.0))
    assert keys.take(Once("o", "second", 9.0))
    clock.now += 2
    assert keys.take(Once("o", "first", 9.0))
    for number in range(MOST_KEYS - 1):
        assert keys.take(Once("o", f"{number}", 9.0))
    assert keys.is_taken(Once("o", "first", 9.0))
    assert not keys.is_taken(Once("o", "second", 9.0))


def test_all_of_them_can_be_forgotten() -> None:
    keys = OnceKeys(FakeClock())
    assert keys.take(Once("o", "k", 9.0))
    keys.clear()
    assert keys.take(Once("o", "k", 9.0))

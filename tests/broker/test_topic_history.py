import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.broker.broker import History, Page, Position
from channeld.broker.publish_options import Placing
from channeld.broker.topic_history import TopicHistory

KEEP = History(size=3, ttl=10.0)


def offsets(page: Page) -> list[int]:
    return [kept.position.offset for kept in page.frames]


def filled(count: int, keep: History = KEEP) -> TopicHistory:
    history = TopicHistory("e")
    for now in range(count):
        history.append(b"%d" % now, keep, float(now))
    return history


def test_positions_grow_by_one() -> None:
    history = TopicHistory("e", top=7)
    assert history.append(b"a", KEEP, 0.0) == Position("e", 8)
    assert history.append(b"b", KEEP, 0.0) == Position("e", 9)


def test_size_drops_the_oldest() -> None:
    assert offsets(filled(5).before(None, 10, KEEP, 5.0)) == [3, 4, 5]


def test_a_frame_lives_for_less_than_its_ttl() -> None:
    history = filled(1)
    assert offsets(history.before(None, 10, KEEP, 9.99)) == [1]
    assert offsets(history.before(None, 10, KEEP, 10.0)) == []
    assert len(history) == 0


def test_a_smaller_keep_takes_effect_when_looked_at() -> None:
    assert offsets(filled(3).before(None, 10, History(size=1, ttl=10.0), 3.0)) == [3]


def test_to_ask_for_the_top_trims_nothing() -> None:
    history = filled(3)
    assert history.since(None, History(size=1, ttl=1.0), 99.0) == Page((), Position("e", 3))
    assert len(history) == 3


@pytest.mark.parametrize(
    ("top", "position", "recovered"), [(5, 5, True), (5, 4, False), (0, 0, True)]
)
def test_an_empty_stream_serves_only_its_top(top: int, position: int, recovered: bool) -> None:
    page = TopicHistory("e", top).since(Position("e", position), KEEP, 0.0)
    assert page == Page((), Position("e", top), recovered=recovered)


def test_expires_tells_when_the_latest_goes() -> None:
    history = filled(2)
    assert history.expires(5.0) == 11.0
    assert history.expires(11.0) is None
    assert TopicHistory("e").expires(0.0) is None


def test_a_deadline_that_rounding_moves_still_comes() -> None:
    history, keep = TopicHistory("e"), History(size=3, ttl=0.1)
    history.append(b"", keep, 1e9 + 0.3)
    deadline = history.expires(1e9)
    assert deadline is not None
    assert history.expires(deadline) is None


steps = st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=40)


@given(steps, st.integers(1, 5), st.floats(0.1, 8), st.integers(-1, 45), st.integers(0, 6))
def test_pages_match_a_plain_list(
    moves: list[tuple[float, bool]], size: int, ttl: float, asked: int, limit: int
) -> None:
    history, keep, now, top = TopicHistory("e"), History(size=size, ttl=ttl), 0.0, 0
    times: dict[int, float] = {}
    for pause, publishes in moves:
        now += pause
        if publishes:
            top += 1
            assert history.append(b"%d" % top, keep, now) == Position("e", top)
            times[top] = now
    kept = [offset for offset, at in times.items() if at + ttl > now][-size:]
    missed = list(range(asked + 1, top + 1))
    page = history.since(Position("e", asked), keep, now)
    assert page.recovered == (0 <= asked <= top and set(missed) <= set(kept))
    assert offsets(page) == (missed if page.recovered else [])
    earlier = [offset for offset in kept if offset < asked]
    page = history.before(Position("e", asked), limit, keep, now)
    assert offsets(page) == (earlier[-limit:] if limit else [])
    assert page.more == (len(earlier) > limit)


def newest(history: TopicHistory, key: str, now: float = 0.0, **more: str) -> None:
    history.append(key.encode(), KEEP, now, Placing(key=key, **more))  # type: ignore[arg-type]


def test_only_the_newest_of_a_key_is_kept_and_nobody_misses_the_others() -> None:
    history = TopicHistory("e")
    for key in "abaa":
        newest(history, key)
    assert offsets(history.since(Position("e", 0), KEEP, 0.0)) == [2, 4]
    assert offsets(history.before(None, 9, KEEP, 0.0)) == [2, 4]
    assert history.before(None, 1, KEEP, 0.0).more
    assert len(history) == 2


def test_more_keys_than_the_size_and_expired_ones_are_missed() -> None:
    history = TopicHistory("e")
    for key in "abcd":
        newest(history, key)
    assert not history.since(Position("e", 0), KEEP, 0.0).recovered
    assert offsets(history.since(Position("e", 1), KEEP, 0.0)) == [2, 3, 4]
    assert not history.since(Position("e", 1), KEEP, 10.0).recovered


def test_keys_and_frames_in_a_row_are_told_in_their_order() -> None:
    history = TopicHistory("e")
    for key in ("", "a", "", "b", ""):
        if key:
            newest(history, key)
        else:
            history.append(b"f", KEEP, 0.0)
    assert offsets(history.since(Position("e", 0), KEEP, 0.0)) == [1, 2, 3, 4, 5]
    assert offsets(history.since(None, KEEP, 0.0, 3)) == [3, 4, 5]
    freed = [history.drop_oldest() for _ in range(5)]
    assert (len(history), history.bytes, len(freed)) == (0, 0, 5)


def test_a_clearing_takes_away_and_is_not_replayed() -> None:
    history = TopicHistory("e")
    newest(history, "a")
    history.append(b"x", KEEP, 0.0, Placing(clears=("a", "unknown"), is_replayed=False))
    assert offsets(history.since(Position("e", 0), KEEP, 0.0)) == [2]
    assert history.since(None, KEEP, 0.0, 9).frames == ()


def test_who_leaves_takes_what_is_theirs() -> None:
    history = TopicHistory("e")
    newest(history, "a", owner="ann")
    newest(history, "b", owner="bob")
    history.forget("ann")
    assert offsets(history.since(Position("e", 0), KEEP, 0.0)) == [2]


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c", "d", "-a"]), st.integers(0, 4))))
def test_a_stream_with_keys_is_like_a_plain_list(steps: list[tuple[str, int]]) -> None:
    history, now, model, floor = TopicHistory("e"), 0.0, list[tuple[int, str, float]](), 0
    for number, (key, wait) in enumerate(steps, 1):
        now += wait
        clears = (key[1:],) if key.startswith("-") else ()
        placing = None if not key else Placing(clears=clears) if clears else Placing(key=key)
        history.append(b"x", KEEP, now, placing)
        gone = clears or ((key,) if key else ())
        model = [one for one in model if not one[1] or one[1] not in gone]
        model.append((number, "" if clears else key, now))
        for is_keyed in (False, True):
            row = [one for one in model if bool(one[1]) is is_keyed]
            lost = [one for one in row if one[2] + KEEP.ttl <= now]
            lost += [one for one in row if one not in lost][
                : max(0, len(row) - len(lost) - KEEP.size)
            ]
            floor = max([floor, *(one[0] for one in lost)])
            model = [one for one in model if one not in lost]
        assert len(history) == len(model)
        for since in range(number + 1):
            page = history.since(Position("e", since), KEEP, now)
            assert page.recovered is (since >= floor)
            assert offsets(page) == (
                [o for o, _, _ in model if o > since] if since >= floor else []
            )

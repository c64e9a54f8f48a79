import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.broker.broker import History, Page, Position
from channeld.broker.stream import Stream

KEEP = History(size=3, ttl=10.0)


def offsets(page: Page) -> list[int]:
    return [kept.position.offset for kept in page.frames]


def filled(count: int, keep: History = KEEP) -> Stream:
    stream = Stream("e")
    for now in range(count):
        stream.append(b"%d" % now, keep, float(now))
    return stream


def test_positions_grow_by_one() -> None:
    stream = Stream("e", top=7)
    assert stream.append(b"a", KEEP, 0.0) == Position("e", 8)
    assert stream.append(b"b", KEEP, 0.0) == Position("e", 9)


def test_size_drops_the_oldest() -> None:
    assert offsets(filled(5).before(None, 10, KEEP, 5.0)) == [3, 4, 5]


def test_a_frame_lives_for_less_than_its_ttl() -> None:
    stream = filled(1)
    assert offsets(stream.before(None, 10, KEEP, 9.99)) == [1]
    assert offsets(stream.before(None, 10, KEEP, 10.0)) == []
    assert len(stream) == 0


def test_a_smaller_keep_takes_effect_when_looked_at() -> None:
    assert offsets(filled(3).before(None, 10, History(size=1, ttl=10.0), 3.0)) == [3]


def test_to_ask_for_the_top_trims_nothing() -> None:
    stream = filled(3)
    assert stream.since(None, History(size=1, ttl=1.0), 99.0) == Page((), Position("e", 3))
    assert len(stream) == 3


@pytest.mark.parametrize(
    ("top", "position", "recovered"), [(5, 5, True), (5, 4, False), (0, 0, True)]
)
def test_an_empty_stream_serves_only_its_top(top: int, position: int, recovered: bool) -> None:
    page = Stream("e", top).since(Position("e", position), KEEP, 0.0)
    assert page == Page((), Position("e", top), recovered=recovered)


def test_expires_tells_when_the_latest_goes() -> None:
    stream = filled(2)
    assert stream.expires(5.0) == 11.0
    assert stream.expires(11.0) is None
    assert Stream("e").expires(0.0) is None


def test_a_deadline_that_rounding_moves_still_comes() -> None:
    stream, keep = Stream("e"), History(size=3, ttl=0.1)
    stream.append(b"", keep, 1e9 + 0.3)
    deadline = stream.expires(1e9)
    assert deadline is not None
    assert stream.expires(deadline) is None


steps = st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=40)


@given(steps, st.integers(1, 5), st.floats(0.1, 8), st.integers(-1, 45), st.integers(0, 6))
def test_pages_match_a_plain_list(
    moves: list[tuple[float, bool]], size: int, ttl: float, asked: int, limit: int
) -> None:
    stream, keep, now, top = Stream("e"), History(size=size, ttl=ttl), 0.0, 0
    times: dict[int, float] = {}
    for pause, publishes in moves:
        now += pause
        if publishes:
            top += 1
            assert stream.append(b"%d" % top, keep, now) == Position("e", top)
            times[top] = now
    kept = [offset for offset, at in times.items() if at + ttl > now][-size:]
    missed = list(range(asked + 1, top + 1))
    page = stream.since(Position("e", asked), keep, now)
    assert page.recovered == (0 <= asked <= top and set(missed) <= set(kept))
    assert offsets(page) == (missed if page.recovered else [])
    earlier = [offset for offset in kept if offset < asked]
    page = stream.before(Position("e", asked), limit, keep, now)
    assert offsets(page) == (earlier[-limit:] if limit else [])
    assert page.more == (len(earlier) > limit)

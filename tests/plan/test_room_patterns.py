import fnmatch
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.plan.expressions import parse_text
from channeld.plan.room_patterns import STAR, Tokens, allows, may_meet, tokens


def pattern(text: str, *, stars: bool = True) -> Tokens:
    return tokens(parse_text(text, "", []), stars=stars)


def admits(session: Callable[..., Any], *patterns: str) -> Callable[[str], bool]:
    ask = allows([pattern(text) for text in patterns])
    return lambda room: ask(session(user_id="a*n", params={"id": 7}), room)


@pytest.mark.parametrize(
    ("allow", "room", "answer"),
    [
        ("general", "general", True),
        ("general", "general2", False),
        ("topic-*", "topic-", True),
        ("topic-*", "topic-x", True),
        ("topic-*", "topic", False),
        ("*", "", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "a--b--c", True),
        ("a*b*c", "acb", False),
        ("ab*ba", "aba", False),
        ("user-{user.id}", "user-a*n", True),
        ("user-{user.id}", "user-axn", False),
        ("{params.id}-*", "7-x", True),
        ("{params.id}-*", "8-x", False),
        ("x-{claims.none?}", "x-", False),
    ],
)
def test_a_pattern_admits(allow: str, room: str, answer: bool, session: Callable[..., Any]) -> None:
    assert admits(session, allow)(room) is answer
    assert admits(session, "other", allow, "more-*")(room) is answer


def test_nothing_is_admitted_by_no_pattern(session: Callable[..., Any]) -> None:
    assert not admits(session)("general")


def test_stars_are_only_stars_where_they_may_be() -> None:
    assert pattern("a*b") == ("a", STAR, "b")
    assert pattern("a*b", stars=False) == ("a*b",)


PATTERNS = st.text(alphabet="ab*", max_size=6)


@settings(deadline=None)
@given(allow=PATTERNS, room=st.text(alphabet="ab*", max_size=8))
def test_globs_agree_with_a_regular_expression(allow: str, room: str) -> None:
    ask = allows([pattern(allow)])
    wanted = re.fullmatch(".*".join(map(re.escape, allow.split("*"))), room) is not None
    assert ask(None, room) is wanted  # type: ignore[arg-type]


@settings(deadline=None)
@given(one=PATTERNS, other=PATTERNS, room=st.text(alphabet="ab", max_size=8))
def test_patterns_that_share_a_room_may_meet(one: str, other: str, room: str) -> None:
    both = fnmatch.fnmatchcase(room, one) and fnmatch.fnmatchcase(room, other)
    assert may_meet(pattern(one), pattern(other)) or not both


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ("general", "general", True),
        ("general", "generl", False),
        ("a-*", "b-*", False),
        ("a-*", "*-b", True),
        ("t-{message.x}", "t-*", True),
        ("t-{message.x}", "u-*", False),
        ("{message.x}", "anything", True),
        ("", "*", True),
        ("", "a*", False),
    ],
)
def test_whether_two_patterns_may_meet(one: str, other: str, answer: bool) -> None:
    assert may_meet(pattern(one), pattern(other)) is answer
    assert may_meet(pattern(other), pattern(one)) is answer

from channeld.groups import first, is_group, leaves, only, summary_of, words_of

A, B, C = ValueError("a"), KeyError("b"), KeyboardInterrupt()
NESTED = BaseExceptionGroup("outer", [ExceptionGroup("inner", [A, B]), C])


def test_leaves_come_from_left_to_right() -> None:
    assert list(leaves(NESTED)) == [A, B, C]
    assert list(leaves(A)) == [A]


def test_a_group_is_known() -> None:
    assert is_group(NESTED)
    assert not is_group(A)


def test_the_first_is_the_leftmost() -> None:
    assert first(NESTED) is A
    assert first(B) is B


def test_a_group_of_one_is_its_exception() -> None:
    assert only(ExceptionGroup("outer", [ExceptionGroup("inner", [A])])) is A
    assert only(NESTED) is NESTED
    assert only(A) is A


def test_words_may_stand_in_what_is_underneath() -> None:
    bare = ValueError()
    assert words_of(bare) == "ValueError"
    bare.__cause__ = OSError("refused")
    assert words_of(bare) == "refused"
    assert words_of(OSError("at once")) == "at once"


def test_a_summary_is_one_short_line() -> None:
    assert summary_of(ValueError()) == "ValueError"
    assert summary_of(OSError("refused\n  it")) == "OSError: refused it"
    assert len(summary_of(OSError("x" * 1000))) == len("OSError: ") + 200

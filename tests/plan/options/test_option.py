from channeld.config.model import Message
from channeld.plan.options.option import Difference
from channeld.plan.options.table import OPTIONS


def test_a_message_without_options_has_nothing_to_say() -> None:
    plain = Message(schema=True)
    for option in OPTIONS:
        assert [*option.differences("say", plain, plain)] == []
        assert (option.shown(plain), option.words(plain)) == (None, "")
        assert [*option.outcomes("say", plain)] == []


def test_a_difference_stands_at_the_option_itself_unless_it_says_where() -> None:
    assert Difference(code="D501", level="safe", words="w").key == ""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.plan.expressions import (
    Array,
    Expression,
    Literal,
    Object,
    TemplateSyntaxError,
    Text,
    expressions,
    parse,
    parse_text,
    spelled,
)


def parsed(value: object) -> object:
    mistakes: list[TemplateSyntaxError] = []
    node = parse(value, "/emit", mistakes)  # type: ignore[arg-type]
    assert mistakes == []
    return node


def mistake(text: str) -> TemplateSyntaxError:
    mistakes: list[TemplateSyntaxError] = []
    parse_text(text, "/emit", mistakes)
    (found,) = mistakes
    return found


def test_one_expression_is_itself() -> None:
    found = parsed("{message.a.b?}")
    assert found == Expression("message", ("a", "b"), True, "/emit", 0, 14)


def test_a_longer_string_is_a_text() -> None:
    found = parsed("hi {user.id}!")
    assert found == Text(("hi ", Expression("user", ("id",), False, "/emit", 3, 9), "!"), "/emit")


def test_doubled_braces_are_literal() -> None:
    assert parsed("{{message.x}} {{}}") == Literal("{message.x} {}")


def test_braces_may_stand_around_an_expression() -> None:
    found = parsed("{{{now}}}")
    assert found == Text(("{", Expression("now", (), False, "/emit", 2, 5), "}"), "/emit")


def test_values_that_hold_no_expression_are_constants() -> None:
    assert parsed({"a": [1, None, {"b": "{{"}], "c": True}) == Literal(
        {"a": [1, None, {"b": "{"}], "c": True}
    )


def test_an_object_keeps_its_order_and_pointers() -> None:
    found = parsed({"z": 1, "a/b": ["{now}"]})
    expression = Expression("now", (), False, "/emit/a~1b/0", 0, 5)
    inner = Array((expression,), "/emit/a~1b")
    assert found == Object((("z", Literal(1)), ("a/b", inner)), "/emit")
    assert list(expressions(found)) == [expression]


@pytest.mark.parametrize(
    ("text", "offset", "length", "message"),
    [
        ("x {message.a", 2, 10, "`{` is not closed"),
        ("x}", 1, 1, "`}` without its `{`"),
        ("{}", 0, 2, "empty template expression"),
        ("{ }", 0, 3, "empty template expression"),
        ("a{message..x}", 1, 12, "`{message..x}` is not a template expression"),
        ("{a-b c}", 0, 7, "`{a-b c}` is not a template expression"),
        ("{message.x??}", 0, 13, "`{message.x??}` is not a template expression"),
    ],
)
def test_a_slip_has_its_place(text: str, offset: int, length: int, message: str) -> None:
    found = mistake(text)
    assert (found.offset, found.length, found.message) == (offset, length, message)
    assert found.help


def test_blanks_are_told_to_go() -> None:
    assert mistake("{ message.x }").help == "write `{message.x}`"


def test_several_words_are_not_joined_to_one_name() -> None:
    help = mistake("{claims.name or user.id}").help
    assert help == "write names joined by dots, such as `{message.text}`; `{{` is a literal brace"


def test_a_key_takes_no_template() -> None:
    mistakes: list[TemplateSyntaxError] = []
    parse({"{user.id}": 1}, "/emit", mistakes)
    assert [(s.offset, s.message) for s in mistakes] == [(-1, "a key takes no template")]


def test_a_key_may_hold_other_braces() -> None:
    assert parsed({"{x}": 1}) == Literal({"{x}": 1})


@settings(deadline=None)
@given(st.text())
def test_escaped_text_is_a_constant(text: str) -> None:
    assert parsed(text.replace("{", "{{").replace("}", "}}")) == Literal(text)


@settings(deadline=None)
@given(st.text(alphabet="{}?. ax"))
def test_any_text_parses_or_has_a_slip(text: str) -> None:
    mistakes: list[TemplateSyntaxError] = []
    parse_text(text, "", mistakes)
    assert all(s.offset >= 0 and s.offset + s.length <= len(text) for s in mistakes)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{claims["https://e.com/name"]}', ("https://e.com/name",)),
        ('{claims.a["b.c"].d}', ("a", "b.c", "d")),
        ('{claims["a"]}', ("a",)),
    ],
)
def test_names_with_dots_of_their_own(text: str, path: tuple[str, ...]) -> None:
    found = parse_text(text, "", [])
    assert isinstance(found, Expression)
    assert (found.root, found.path, found.optional) == ("claims", path, False)
    optional = parse_text(text.replace("}", "?}"), "", [])
    assert isinstance(optional, Expression)
    assert (optional.path, optional.optional) == (path, True)


def test_such_a_name_is_spelled_as_it_is_written() -> None:
    assert spelled(("claims", "a", "b.c", "d")) == 'claims.a["b.c"].d'
    assert spelled(("claims", "x://y")) == 'claims["x://y"]'


def test_an_address_without_brackets_would_be_split() -> None:
    slips: list[TemplateSyntaxError] = []
    parse_text("{claims.https://e.com/name?}", "", slips)
    assert [(slip.message, slip.help) for slip in slips] == [
        (
            "`{claims.https://e.com/name?}` is split at its dots",
            'write `{claims["https://e.com/name"]?}`',
        )
    ]

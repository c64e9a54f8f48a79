import pytest

from channeld.plan.claim_paths import parse_claim_path
from channeld.plan.expressions import Expression, Literal, TemplateSyntaxError, Text


def names(key: str) -> list[object]:
    mistakes: list[TemplateSyntaxError] = []
    steps = parse_claim_path(key, "", mistakes)
    assert mistakes == []
    return [step.value for step in steps if isinstance(step, Literal)]


@pytest.mark.parametrize(
    ("key", "steps"),
    [
        ("role", ["role"]),
        ("realm_access.roles", ["realm_access", "roles"]),
        ("cognito:groups", ["cognito:groups"]),
        ("https://e.com/a.b", ["https://e.com/a.b"]),
        ('["https://e.com/a.b"]', ["https://e.com/a.b"]),
        ('a["b.c"].d', ["a", "b.c", "d"]),
        ('["a.b"]["c.d"]', ["a.b", "c.d"]),
    ],
)
def test_names(key: str, steps: list[str]) -> None:
    assert names(key) == steps


def test_a_template_is_one_step_with_its_dots() -> None:
    first, second = parse_claim_path("docs.{params.id}", "/x", [])
    assert first == Literal("docs")
    assert isinstance(second, Expression)
    assert (second.root, second.path, second.offset) == ("params", ("id",), -1)
    (whole,) = parse_claim_path("docs-{params.id}", "/x", [])
    assert isinstance(whole, Text)


@pytest.mark.parametrize("key", ["", ".", "a.", ".a", "a..b", "a[b]", 'a["b"', '["a"]b', "a}"])
def test_what_is_no_path(key: str) -> None:
    mistakes: list[TemplateSyntaxError] = []
    assert parse_claim_path(key, "/x", mistakes) == ()
    assert [mistake.message for mistake in mistakes] == [f"`{key}` is not the path of a claim"]


def test_a_bad_template_is_found_at_the_key() -> None:
    mistakes: list[TemplateSyntaxError] = []
    parse_claim_path("docs.{}", "/x", mistakes)
    assert [(one.message, one.offset) for one in mistakes] == [("empty template expression", -1)]

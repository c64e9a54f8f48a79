import pytest

from channeld.config.checker import INVALID, Checker, shown
from channeld.config.language import Rule
from channeld.config.normalizers import NORMALIZERS, NOTATIONS
from channeld.diagnostics.diagnostic import Place, Report
from channeld.protocol.frames import Json


class NoFiles:
    def text(self, checker: Checker, path: str, pointer: str, *, may_be_absent: bool) -> object:
        return INVALID

    def tokens(self, checker: Checker, path: str, pointer: str) -> object:
        return INVALID


def checker_over(silent: frozenset[str] = frozenset(), hidden: bool = False) -> Checker:
    return Checker(
        place=lambda pointer, key: Place("f", path=pointer, line=1 + key),
        report=Report(),
        files=NoFiles(),
        notations=NOTATIONS,
        normalizers=NORMALIZERS,
        silent=silent,
        is_hidden=lambda pointer: hidden,
    )


def checked(value: Json, rule: Rule) -> tuple[object, list[str]]:
    checker = checker_over()
    result = checker.check(value, rule, "/server")
    return result, [d.message for d in checker.report]


MAPPING: Rule = {
    "type": "object",
    "required": ["a"],
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "additionalProperties": False,
    "patternProperties": {"^x-": True},
}


@pytest.mark.parametrize(
    ("value", "result", "findings"),
    [
        ({"a": 1, "b": 2, "x-c": "?"}, {"a": 1, "b": 2}, 0),
        ({"a": 1, "b": "?"}, {"a": 1}, 1),
        ({"a": 1, "c": 1}, {"a": 1}, 1),
        ({"a": "?", "b": 2}, INVALID, 1),
        ({"b": 2}, INVALID, 1),
        ({"b": "?", "c": 1}, INVALID, 3),
        ([], INVALID, 1),
    ],
)
def test_a_mapping_lives_without_what_is_optional(
    value: Json, result: object, findings: int
) -> None:
    found, messages = checked(value, MAPPING)
    assert found == result
    assert len(messages) == findings


def test_what_is_not_known_is_left_out_without_a_word() -> None:
    checker = checker_over(silent=frozenset({"/s/b"}))
    assert checker.check({"a": 1, "b": None}, MAPPING, "/s") == {"a": 1}
    assert checker_over(silent=frozenset({"/s"})).check("?", MAPPING, "/s") is INVALID
    assert len(checker.report) == 0


def test_a_list_loses_its_broken_items() -> None:
    found, messages = checked([1, "?", 3], {"type": "array", "items": {"type": "integer"}})
    assert found == [1, 3]
    assert messages == ["entry 2 of `server` takes a whole number; got text"]


@pytest.mark.parametrize(("value", "findings"), [("", 1), ("abc", 0), ("abcd", 1), ("ab\n", 1)])
def test_lengths_and_patterns(value: str, findings: int) -> None:
    rule = {
        "type": "string",
        "minLength": 1,
        "maxLength": 3,
        "pattern": "^[a-c]+$",
        "x-wants": "abc",
    }
    assert len(checked(value, rule)[1]) == findings


@pytest.mark.parametrize(
    ("value", "fits"), [(True, False), (1, True), (1.0, False), ("1", False), (None, False)]
)
def test_only_integers_are_integers(value: Json, fits: bool) -> None:
    assert (checked(value, {"type": "integer"})[0] is not INVALID) is fits


def test_json_is_not_looked_into() -> None:
    rule = {"anyOf": [{"type": "boolean"}, {"type": "object"}], "x-kind": "json"}
    assert checked({"a": None, "x-b": {"c": [None]}}, rule) == (
        {"a": None, "x-b": {"c": [None]}},
        [],
    )
    assert checked([], rule)[0] is INVALID
    assert checked(None, {"x-kind": "json"}) == (None, [])


@pytest.mark.parametrize("pointer", ["/auth/s/secret", "/auth/s/tokens/0/token", "/api/keys/1"])
def test_secrets_are_not_quoted(pointer: str) -> None:
    assert "hunter2" not in checker_over().quote("hunter2", pointer)


def test_hidden_values_are_not_quoted() -> None:
    assert checker_over(hidden=True).quote("hunter2", "/server/drain") == (
        "the value of `server.drain`"
    )


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("a", "`a`"), ("a\n b", "`a b`"), ("x" * 50, "`" + "x" * 40 + "…`"), ("", "``")],
)
def test_quotes_are_one_short_line(text: str, quoted: str) -> None:
    assert shown(text) == quoted

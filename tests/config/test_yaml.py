"""YAML 1.2 to trees: values, places, findings and budgets."""

import json

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from channeld.config.tree import ListNode, MapNode, Node, ScalarNode, Tree, TreeEntry
from channeld.config.yaml import MAX_DEPTH, Fields, parse
from channeld.diagnostics.diagnostic import Diagnostic, Report
from channeld.protocol.frames import Json

SAMPLE = """\
channeld: 1
x-base: &base {limits: {outbox: 1MiB}, on: yes}
channels:
  room: &room
    <<: [*base, {history: {size: 10}}]
    path: "/rooms/{room_id}"
    text: >-
      folded
      text
    rooms: {params.room_id}
  "again": *room
"""


def read(text: str | bytes) -> tuple[Json, list[Diagnostic]]:
    report = Report()
    tree = parse(text, "c.yaml", report)
    return (tree.value if tree is not None else None), list(report)


def codes(text: str) -> list[str]:
    return [diagnostic.code for diagnostic in read(text)[1]]


def test_a_file_in_order() -> None:
    value, found = read("b: 1\na: [true, 'x', ~]\n")

    assert value == {"b": 1, "a": [True, "x", None]}
    assert list(value) == ["b", "a"]
    assert found == []


def test_keys_are_their_text() -> None:
    value, found = read("200: a\ntrue: b\nnull: c\non: d\n1.50: e\n")

    assert value == {"200": "a", "true": "b", "null": "c", "on": "d", "1.50": "e"}
    assert found == []


def test_a_duplicate_key_shows_both_places_and_the_first_counts() -> None:
    value, [found] = read("a: 1\n'a': 2\n")

    assert value == {"a": 1}
    assert (found.code, found.message) == ("CH004", "`a` is set twice")
    assert (found.place.line, found.place.column, found.place.path) == (2, 1, "/a")
    assert [(r.place.line, r.message) for r in found.related] == [(1, "first set here")]


def test_the_text_and_the_number_are_one_key() -> None:
    assert codes("1: a\n'1': b\n") == ["CH004"]


def test_a_date_where_one_is_wanted_is_none() -> None:
    assert codes("m: {deprecated: {since: 2026-11-01, sunset: 2027-06-30}}") == []
    assert codes("m: {deprecated: {note: 2026-11-01, since: 1:30}}") == ["CH005", "CH005"]
    assert codes("diff: {accept: [{until: 2027-01-31}]}") == []
    assert codes("m: {accept: [{until: 2027-01-31}]}") == ["CH005"]


def test_what_a_schema_requires_is_a_name() -> None:
    assert codes("schema: {required: [on, y], properties: {on: true, y: true}}") == []
    assert codes("schema: {enum: [on, off]}") == ["CH005", "CH005"]


@pytest.mark.parametrize("value", ["yes", "NO", "on", "010", "1_000", "12:30", "2026-01-01"])
def test_a_value_that_yaml11_reads_otherwise_is_a_warning(value: str) -> None:
    assert codes(f"a: {value}") == ["CH005"]
    assert codes(f"- {value}") == ["CH005"]
    assert codes(f"a: '{value}'") == []


def test_findings_go_on_after_findings() -> None:
    text = "a: yes\nb: !x 1\nc: *d\na: 1\n? [1]\n: 2\n<<: 3\ne: .nan\nf: {user.id}\n---\n"

    assert codes(text) == [
        "CH005",
        "CH006",
        "CH007",
        "CH004",
        "CH008",
        "CH008",
        "CH014",
        "CH013",
        "CH003",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!!str 1", "1"),
        ('!!int "1"', 1),
        ("!!float 1", 1.0),
        ("!!bool true", True),
        ("!!null ''", None),
        ("!!seq [1]", [1]),
        ("!!map {a: 1}", {"a": 1}),
        ("! 1", "1"),
        ("!!str a: 1", {"a": 1}),
    ],
)
def test_core_tags_are_obeyed(text: str, value: Json) -> None:
    assert read(text) == (value, [])


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("a: !!int x", "!!int"),
        ("a: !!python/name:os.system x", "!!python/name:os.system"),
        ("a: &b !env X", "!env"),
        ("a: !<tag:x> y", "!<tag:x>"),
        ("a: !!set {b}", "!!set"),
        ("a: !!map [b]", "!!map"),
        ("!x a: b", "!x"),
    ],
)
def test_other_tags_are_errors_at_the_tag(text: str, tag: str) -> None:
    _, [found] = read(text)

    assert (found.code, found.message) == ("CH006", f"tag `{tag}` is not allowed here")
    start = found.place.column - 1
    assert text[start : found.place.end_column - 1] == tag


def test_a_merge_key_merges_and_own_keys_win() -> None:
    value, found = read("d: &d {a: 1, b: 2}\nx:\n  <<: *d\n  b: 3\n")

    assert value == {"d": {"a": 1, "b": 2}, "x": {"a": 1, "b": 3}}
    assert found == []


def test_of_a_merge_list_the_first_mapping_wins() -> None:
    assert read("<<: [{a: 1}, {a: 2, b: 3}]\n") == ({"a": 1, "b": 3}, [])


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read("'<<': 1\n") == ({"<<": 1}, [])


def test_two_merges_in_a_mapping_are_a_duplicate() -> None:
    assert codes("<<: {a: 1}\n<<: {b: 1}\n") == ["CH004"]


def test_a_merge_of_an_unknown_alias_is_one_finding() -> None:
    assert codes("<<: *nope\n") == ["CH007"]


def test_an_alias_within_what_it_repeats_is_an_error() -> None:
    _, [found] = read("a: &a [1, *a]\n")

    assert found.message == "`*a` refers to itself"


def test_an_alias_may_be_a_key() -> None:
    assert read("&a x: 1\n*a : 2\n")[1][0].code == "CH004"


def test_values_that_no_check_should_look_at_are_told() -> None:
    tree = parse("a: [*x, 1, .inf]\n", "c.yaml", Report())

    assert tree is not None
    assert tree.unknown == {"/a/0", "/a/2"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a: {params.x}", "{params.x}"),
        ("a: {{claims.x}}", "{{claims.x}}"),
        ("a: {message.x?}", "{message.x?}"),
        ("a: {room}", "{room}"),
    ],
)
def test_a_template_without_quotes_is_told_and_read_as_meant(text: str, meant: str) -> None:
    value, [found] = read(text)

    assert value == {"a": meant}
    assert found.code == "CH013"


@pytest.mark.parametrize("text", ["a: {user.id: 1}", "a: {user.id: }", "a: {b}", "a: {b, c}"])
def test_other_mappings_stay_mappings(text: str) -> None:
    value, found = read(text)

    assert isinstance(value, dict)
    assert isinstance(value["a"], dict)
    assert found == []


@pytest.mark.parametrize("text", ["", "# only\n", "---\n", "\ufeff"])
def test_nothing_is_an_error(text: str) -> None:
    assert codes(text) == ["CH012"]


def test_a_second_document_is_pointed_at() -> None:
    value, [found] = read("a: 1\n---\nb: 1\n")

    assert value == {"a": 1}
    assert (found.code, found.place.line, found.place.end_column) == ("CH003", 2, 4)


def test_the_depth_is_limited() -> None:
    assert codes("[" * MAX_DEPTH + "]" * MAX_DEPTH) == []
    assert codes("[" * 100_000 + "]" * 100_000) == ["CH010"]


def test_aliases_count_with_their_depth() -> None:
    chain = "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))

    assert codes(f"a0: &a0 1\n{chain}") == ["CH010"]


def test_a_billion_laughs_are_refused_at_their_line() -> None:
    lines = "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))

    _, found = read(f"a0: &a0 [ha,ha,ha,ha,ha,ha,ha,ha,ha]\n{lines}")

    assert [(d.code, d.place.line) for d in found] == [("CH009", 6)]


def test_a_syntax_error_comes_with_what_was_found_before() -> None:
    assert codes("a: 1\na: 2\nb: [\n") == ["CH004", "CH001"]


def test_json_with_escaped_surrogates_has_its_places() -> None:
    report = Report()
    tree = parse('{"a": "\\ud83d\\ude00", "b": 1}', "s.json", report)

    assert tree is not None
    assert tree.value == {"a": "😀", "b": 1}
    assert tree.place("/b").column == 28


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=10), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(JSON, st.booleans())
@example({"\x7f": "\x80"}, True)
def test_json_parses_as_json_does(value: Json, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assume(all(c == "\x85" or not "\x7f" <= c < "\xa0" for c in text) and "\ufeff" not in text)
    assume("\ufffe" not in text and "\uffff" not in text)

    read_value, found = read(text)

    assert read_value == json.loads(text)
    assert [d for d in found if d.code != "CH005"] == []


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text("ab:- \n\t[]{}#&*!|>'\"%@`?,.~<0$", max_size=40) | st.binary())
def test_parsing_never_raises_and_tells_why_there_is_nothing(text: str | bytes) -> None:
    report = Report()

    tree = parse(text, "c.yaml", report)

    assert tree is not None or len(report) > 0
    if tree is not None:
        check_places(tree)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_every_value_of_a_mutated_file_has_a_place_in_it(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(SAMPLE)))
    cut = data.draw(st.integers(0, 5))
    new = data.draw(st.text("ab:- \n\t[]{}#&*!|>'\"%?,.<\r", max_size=5))

    tree = parse(SAMPLE[:at] + new + SAMPLE[at + cut :], "c.yaml", Report())

    if tree is not None:
        check_places(tree)


def check_places(tree: Tree) -> None:
    """Every node lies in the text, and a node of a list or mapping that is not an alias within it."""
    waiting: list[Node] = [tree.root]
    while waiting:
        node = waiting.pop()
        assert 0 <= node.start <= node.end <= len(tree.text)
        if isinstance(node, ListNode):
            waiting += node.items
        elif isinstance(node, MapNode):
            waiting += [entry.node for entry in node.entries.values()]
            for entry in node.entries.values():
                assert 0 <= entry.start <= entry.end <= len(tree.text)
    place = tree.place("")
    assert (1, 1) <= (place.line, place.column) <= (place.end_line, place.end_column)


def key_entry(value: str) -> TreeEntry:
    node = ScalarNode(start=2, end=3, style="plain", raw=value, value=value)
    return TreeEntry(start=0, end=1, node=node)


def test_merged_keys_stand_where_the_merge_stood() -> None:
    fields = Fields(
        own={"a": key_entry("1"), "z": key_entry("2")}, merged={"m": key_entry("3")}, merge_at=1
    )

    assert list(fields.entries()) == ["a", "m", "z"]


def test_own_keys_win_over_merged_ones() -> None:
    own = key_entry("mine")
    fields = Fields(own={"a": own}, merged={"a": key_entry("theirs")})

    assert fields.entries() == {"a": own}

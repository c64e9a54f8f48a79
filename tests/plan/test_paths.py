import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.plan.path_syntax import PathParam, PathPattern, Rest, compare, decode, parse_path
from channeld.plan.paths import PathTable, converter, is_refused, split

TEXT = frozenset({"string"})


def pattern(text: str) -> PathPattern:
    found = parse_path(text, [])
    assert found is not None
    return found


def table(*paths: str) -> PathTable[str]:
    made: PathTable[str] = PathTable()
    for path in paths:
        made.add(pattern(path), path)
    return made


@pytest.mark.parametrize(
    ("url", "path", "params"),
    [
        ("/rooms/general", "/rooms/{id}", {"id": "general"}),
        ("/rooms/new", "/rooms/new", {}),
        ("/%72ooms/new", "/rooms/new", {}),
        ("/rooms/a%2Fb", "/rooms/{id}", {"id": "a/b"}),
        ("/rooms/a%252Fb", "/rooms/{id}", {"id": "a%2Fb"}),
        ("/rooms/%C3%A9", "/rooms/{id}", {"id": "é"}),
        ("/files/a/b/", "/files/{path...}", {"path": "a/b/"}),
        ("/files/a", "/files/{path...}", {"path": "a"}),
        ("/files/x/edit", "/files/{name}/edit", {"name": "x"}),
        ("/files/x/view", "/files/{path...}", {"path": "x/view"}),
        ("/", "/", {}),
    ],
)
def test_a_url_leads_to_the_most_specific_path(url: str, path: str, params: dict[str, str]) -> None:
    paths = table("/", "/rooms/{id}", "/rooms/new", "/files/{path...}", "/files/{name}/edit")
    assert paths.match(url) == (path, params)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "rooms/a",
        "/rooms",
        "/rooms/",
        "/rooms/a/",
        "/rooms//",
        "//rooms/a",
        "/rooms/%ff",
        "/rooms/%",
        "/rooms/\udcff",
        "/files",
        "/files/",
        "/rooms/" + "a" * 129,
    ],
)
def test_what_fits_no_path_is_no_match(url: str) -> None:
    assert table("/rooms/{id}", "/files/{path...}").match(url) is None


def test_a_refused_param_does_not_fall_back() -> None:
    paths: PathTable[str] = PathTable()
    paths.add(pattern("/{rest...}"), "all")
    paths.add(pattern("/rooms/{id}"), "room", {"id": converter(frozenset({"integer"}), accept)})
    assert paths.match("/rooms/7") == ("room", {"id": 7})
    assert paths.match("/rooms/x") is None
    assert paths.match("/other/x") == ("all", {"rest": "other/x"})


def accept(_value: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("types", "text", "value"),
    [
        ({"integer"}, "12", 12),
        ({"integer"}, "-0", 0),
        ({"integer"}, "007", None),
        ({"integer"}, "1.0", None),
        ({"integer"}, "9999999999999999999", 9999999999999999999),
        ({"integer"}, "-9999999999999999999", None),
        ({"integer"}, "1" * 30, None),
        ({"integer", "number"}, "1.5e3", 1500.0),
        ({"integer", "number"}, "1e999", None),
        ({"integer", "number"}, "nan", None),
        ({"integer", "number"}, "12", 12),
        ({"boolean"}, "true", True),
        ({"boolean"}, "True", None),
        ({"string"}, "12", "12"),
        ({"string", "integer"}, "12", "12"),
    ],
)
def test_segments_convert_as_their_schema_says(types: set[str], text: str, value: object) -> None:
    read = converter(frozenset(types), accept)
    found = read(text)
    if value is None:
        assert is_refused(found)
    else:
        assert found == value
        assert type(found) is type(value)


def test_the_schema_has_the_last_word() -> None:
    read = converter(frozenset({"integer"}), lambda value: value == 7)
    assert read("7") == 7
    assert is_refused(read("8"))


def test_overlaps_are_those_that_share_a_url() -> None:
    paths = table("/a/{x}/c", "/a/b", "/b/{r...}")
    found = [path for _, path in paths.overlaps(pattern("/{p}/b/{q}"))]
    assert sorted(found) == ["/a/{x}/c", "/b/{r...}"]
    assert [path for _, path in paths.overlaps(pattern("/{p}"))] == []
    assert len(paths.overlaps(pattern("/{all...}"))) == 3


SEGMENT = st.sampled_from(["a", "b", "c", "{x}"])
PATHS = st.lists(st.lists(SEGMENT, min_size=1, max_size=4), min_size=1, max_size=8)
URL = st.lists(st.sampled_from(["a", "b", "c", "d", "%61", "", "%2F", "%"]), max_size=5)


def numbered(segments: list[str], *, rest: bool) -> str:
    named = [s if s != "{x}" else f"{{p{i}}}" for i, s in enumerate(segments)]
    return "/" + "/".join([*named, "{rest...}"] if rest else named)


def oracle(paths: list[PathPattern], url: str) -> PathPattern | None:
    """Every path as a regular expression over the decoded segments, one after the other."""
    segments = [decode(segment) for segment in url[1:].split("/")]
    if any(segment is None for segment in segments):
        return None
    line = "\x00".join(segment or "" for segment in segments)
    matching = [path for path in paths if re.fullmatch(regex(path), line)]
    best = [p for p in matching if all(compare(p, q) in ("narrower", "equal") for q in matching)]
    assert bool(best) == bool(matching)
    return best[0] if best else None


def regex(path: PathPattern) -> str:
    kinds: dict[type, Callable[[object], str]] = {
        str: lambda s: re.escape(str(s)),
        PathParam: lambda _: "[^\x00]+",
        Rest: lambda _: "(?s:.+)",
    }
    return "\x00".join(kinds[type(segment)](segment) for segment in path.segments)


@settings(deadline=None)
@given(st.data())
def test_the_table_agrees_with_a_loop_over_regular_expressions(data: st.DataObject) -> None:
    declared: list[PathPattern] = []
    paths: PathTable[PathPattern] = PathTable()
    for segments in data.draw(PATHS):
        candidate = pattern(numbered(segments, rest=data.draw(st.booleans())))
        if any(compare(candidate, o) in ("equal", "crossed") for _, o in paths.overlaps(candidate)):
            continue
        declared.append(candidate)
        paths.add(candidate, candidate)
    url = "/" + "/".join(data.draw(URL))
    found = paths.match(url)
    assert (found[0] if found else None) == oracle(declared, url)


@settings(deadline=None)
@given(st.text())
def test_no_url_breaks_the_table(url: str) -> None:
    found = table("/{a}", "/{a}/b", "/c/{r...}").match(url)
    assert found is None or url.startswith("/")


def test_split_cuts_before_it_decodes() -> None:
    assert split("/a%2Fb/c") == ["a/b", "c"]


@pytest.mark.parametrize("accept", [None, lambda value: True])
def test_text_becomes_a_name_in_nfc_and_has_nothing_unseen(accept: Any) -> None:
    read = converter(frozenset({"string"}), accept)
    assert read("caf\u0065\u0301") == "caf\u00e9"
    assert all(is_refused(read(f"a{character}b")) for character in "\n\x00\x7f\u202e\u200b\u2066")

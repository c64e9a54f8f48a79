import pytest

from tests.diff.kit import BASE, codes, diff, instead


def path(text: str) -> str:
    return instead("path: /rooms/{id}", f"path: '{text}'", instead('"{params.id}"', "general"))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("/rooms/{id}", "/rooms/{room}", [("D107", "safe")]),
        ("/rooms/{id}", "/r/{id}", [("D102", "breaking")]),
        ("/rooms/{id}", "/rooms/{id...}", [("D102", "safe")]),
        ("/rooms/{id...}", "/rooms/{id}", [("D102", "breaking")]),
        ("/rooms/general", "/rooms/{id}", [("D102", "safe")]),
    ],
)
def test_paths(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    assert codes(path(old), path(new)) == expected


def param(schema: str) -> str:
    return instead("    auth:", f"    params: {{id: {schema}}}\n    auth:")


@pytest.mark.parametrize(
    ("old", "new", "expected", "url"),
    [
        ("{type: string}", "{type: string, maxLength: 3}", [("D105", "breaking")], "/rooms/hello"),
        ("{enum: [a]}", "{enum: [a, 'b c']}", [("D106", "safe")], "/rooms/b%20c"),
        ("{type: integer}", "{type: integer, minimum: 9}", [("D105", "breaking")], "/rooms/1"),
        ("{type: integer}", "{type: number}", [("D106", "safe")], "/rooms/1.5"),
        ("{type: string}", "{type: integer}", [("D105", "breaking")], "/rooms/hello"),
        ("{type: integer}", "{type: string}", [("D106", "safe")], None),
        ("{type: integer}", "{type: string, pattern: a}", [("D105", "dangerous")], None),
        ("{type: string}", "{type: boolean}", [("D105", "breaking")], "/rooms/hello"),
    ],
)
def test_params(old: str, new: str, expected: list[tuple[str, str]], url: str | None) -> None:
    found = diff(param(old), param(new))
    assert [(change.code, str(change.level)) for change in found] == expected
    witness = found[0].witness
    if url is None or witness is None:
        assert (url, witness) == (None, None)
    else:
        assert str(witness.value).startswith("/rooms/")
        assert expected[0][0] == "D105" or witness.value == url


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ("{type: string}", ["D103", "D104"]),
        ("{enum: [a, b]}", ["D103"]),
        ("{type: integer}", ["D103"]),
    ],
)
def test_a_literal_takes_over_only_what_the_param_allowed(params: str, expected: list[str]) -> None:
    old = param(params)
    new = old + "  news: {path: /rooms/news, auth: none, events: {}}\n"
    assert sorted(code for code, _ in codes(old, new)) == expected


def test_the_url_that_leads_elsewhere_is_shown() -> None:
    (change,) = [
        change
        for change in diff(BASE, BASE + "  news: {path: /rooms/news, auth: none, events: {}}\n")
        if change.code == "D104"
    ]
    assert change.witness is not None
    assert change.witness.value == "/rooms/news"


def test_a_channel_with_another_name_is_known_by_its_path() -> None:
    new = (
        instead("  room:\n", "  chat:\n")
        .replace("{id}", "{room}")
        .replace("params.id", "params.room")
    )
    assert sorted(codes(BASE, new)) == [("D107", "safe"), ("D108", "dangerous")]

from pathlib import Path

import pytest

from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Report
from channeld.protocol.frames import Json
from channeld.schema.schema_file import check_schema_file, is_schema_file


def read(folder: Path, text: str) -> Sources:
    (folder / "s.yaml").write_text(text)
    sources = Sources(
        root=str(folder / "s.yaml"), report=Report(), read=lambda f: Path(f).read_bytes()
    )
    sources.read_document(sources.root)
    return sources


def found(folder: Path, text: str) -> list[tuple[str, int]]:
    return [(d.code, d.place.line) for d in check_schema_file(read(folder, text)).sorted()]


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ({"type": "object"}, True),
        ({"$ref": "x.json"}, True),
        ({"definitions": {}}, True),
        ({"say": {"type": "object"}, "whisper": {"$ref": "#/say"}}, True),
        ({"say": {"type": "object"}, "other": 3}, False),
        ({"channeld": 1, "type": "object"}, False),
        ({"channels": {"type": "object"}}, False),
        ({"scenarios": [], "type": 1}, False),
        ({}, False),
        ([], False),
        (None, False),
    ],
)
def test_what_looks_like_schemas(value: Json, is_one: bool) -> None:
    assert is_schema_file(value) is is_one


def test_one_schema_is_checked_whole(tmp_path: Path) -> None:
    text = """\
type: object
properties:
  a: {type: strin}
  b: {$ref: "#/$defs/nobody"}
  c: {$ref: "https://example.com/c.json"}
required: [x]
additionalProperties: false
$defs:
  spare: {minLength: 3, maxLength: 2}
"""
    codes = [("CH201", 3), ("CH203", 4), ("CH204", 5), ("CH209", 6), ("CH209", 9)]
    assert found(tmp_path, text) == codes


def test_each_of_several_is_checked(tmp_path: Path) -> None:
    text = "say: {type: object}\nwhisper: {enum: []}\nshout: {$ref: '#/sya'}\n"
    assert found(tmp_path, text) == [("CH209", 2), ("CH203", 3)]


def test_a_schema_of_text_is_as_good_as_one_of_objects(tmp_path: Path) -> None:
    assert found(tmp_path, "type: string\nmaxLength: 9\n") == []


def test_other_files_are_followed_and_found_missing(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"$defs": {"n": {"type": "nmber"}}}')
    text = "properties:\n  a: {$ref: 'other.json#/$defs/n'}\n  b: {$ref: gone.json}\n"
    report = check_schema_file(read(tmp_path, text))
    places = {(d.code, Path(d.place.file).name) for d in report}
    assert places == {("CH201", "other.json"), ("CH203", "s.yaml")}

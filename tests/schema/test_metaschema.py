import subprocess
import sys
from typing import Any

import pytest

from channeld.protocol.frames import Json
from channeld.schema.metaschema import against_meta_schema

OLD = "http://json-schema.org/draft-04/schema#"


@pytest.mark.parametrize("schema", [True, {}, {"type": "string"}, {"$schema": OLD, "minimum": 1}])
def test_nothing_is_said_of_a_schema(schema: Json) -> None:
    assert list(against_meta_schema(schema)) == []


def test_it_is_judged_by_its_own_draft() -> None:
    schema: Json = {"properties": {"a": {"minimum": 1, "exclusiveMinimum": True}}}
    (found,) = against_meta_schema(schema)
    assert (found.code, found.pointer) == ("CH201", "/properties/a/exclusiveMinimum")
    assert found.message == "`exclusiveMinimum`: True is not of type 'number'"
    assert isinstance(schema, dict)
    assert list(against_meta_schema({"$schema": OLD, **schema})) == []


def test_long_values_are_cut_and_findings_counted() -> None:
    many: Json = {"properties": {f"p{n}": {"type": "x" * 300} for n in range(9)}}
    found = list(against_meta_schema(many, "/here"))
    assert len(found) == 5
    assert found[0].pointer.startswith("/here/properties/p")
    assert all(len(each.message) < 160 for each in found)


def test_findings_stand_in_the_file(compile_text: Any) -> None:
    text = "channels: {c: {path: /c, auth: none, messages: {m: {schema: s.json, route: sender}}}}"
    old = b"""{"$schema": "http://json-schema.org/draft-04/schema#",
  "properties": {"at": {"items": [{"dependencies": {"a": 3}}]}}}"""
    outcome = compile_text(f"channeld: 1\n{text}\n", files={"s.json": old})
    (found,) = outcome.compiled.report.errors
    assert (found.code, found.place.file, found.place.line) == ("CH201", "s.json", 2)


def test_a_sound_configuration_does_not_load_the_library_that_explains() -> None:
    code = (
        "import sys; from channeld.schema.metaschema import against_meta_schema as a;"
        "assert not list(a({'type': 'string'})); print('jsonschema' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

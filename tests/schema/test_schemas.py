"""Schemas in a whole configuration: where they stand, what they refer to, what is refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from channeld.config.model import Channel, ChannelAuth, Config, Event, Message
from channeld.config.source import FileSystem, read_sources
from channeld.diagnostics.diagnostic import Report
from channeld.protocol.frames import Json
from channeld.schema.schemas import Schemas, against_meta_schema, declared_schemas

SUITE = Path(__file__).parent / "suite"
CONFIG = """\
channeld: 1
schemas:
  line: {type: string, maxLength: 5}
  pair: {type: object, properties: {one: {$ref: "#/$defs/part"}}, $defs: {part: {type: integer}}}
channels:
  room:
    path: /rooms/{room_id}
    params: {room_id: {type: string, pattern: "^[a-z]+$"}}
    auth: none
    messages:
      say: {schema: SCHEMA}
    events:
      said: {}
"""
SAY = "/channels/room/messages/say/schema"


def _read(schema: str, **files: str) -> tuple[Schemas, Report]:
    """Files are named by their stems; a schema is one line of YAML."""
    texts = {"conf/channels.yaml": CONFIG.replace("SCHEMA", schema)}
    texts |= {f"conf/{name}.json": text for name, text in files.items()}

    def read(name: str) -> bytes:
        if name not in texts:
            raise FileNotFoundError(2, "no such file", name)
        return texts[name].encode()

    report = Report()
    sources = read_sources(
        "conf/channels.yaml", FileSystem(read, lambda _: []), {}, report, missing_is_error=False
    )
    assert isinstance(sources.value, dict)
    return Schemas(_config(sources.value), sources, report), report


def _config(value: dict[str, Any]) -> Config:
    room = value["channels"]["room"]
    message = Message(schema=room["messages"]["say"]["schema"])
    channel = Channel(
        name="room",
        path=room["path"],
        auth=ChannelAuth(),
        params=room["params"],
        messages={"say": message},
        events={"said": Event()},
    )
    return Config(schemas=value["schemas"], channels={"room": channel})


def _accepts(schemas: Schemas, value: Any, pointer: str = SAY) -> bool:
    validator = schemas.validator(pointer)
    assert validator is not None
    return validator.accepts(value)


def test_every_declared_schema_has_a_validator() -> None:
    schemas, report = _read("true")
    assert list(report) == []
    assert _accepts(schemas, "abcdef", "/schemas/line") is False
    assert _accepts(schemas, "ab", "/channels/room/params/room_id") is True
    assert _accepts(schemas, {"any": 1}, "/channels/room/events/said/schema") is True
    assert schemas.validator("/channels/room/events/other/schema") is None


def test_a_named_schema_is_reached_from_anywhere() -> None:
    schemas, report = _read('{properties: {text: {$ref: "#/schemas/line"}}}')
    assert list(report) == []
    assert _accepts(schemas, {"text": "abcdef"}) is False
    assert schemas.resolved(SAY) == {
        "properties": {"text": {"$ref": "#/$defs/line"}},
        "$defs": {"line": {"type": "string", "maxLength": 5}},
    }


def test_a_pointer_into_a_named_schema_keeps_its_own_references() -> None:
    schemas, _ = _read('{properties: {n: {$ref: "#/schemas/pair/properties/one"}}}')
    assert _accepts(schemas, {"n": 1}) is True
    assert _accepts(schemas, {"n": "x"}) is False


def test_a_schema_with_schemas_of_its_own_keeps_them() -> None:
    schemas, report = _read(
        '{schemas: {line: {type: integer}}, properties: {a: {$ref: "#/schemas/line"}}}'
    )
    assert [d.code for d in report] == []
    assert _accepts(schemas, {"a": 1}) is True


def test_other_references_are_local() -> None:
    schemas, _ = _read('{$defs: {line: {type: "null"}}, properties: {a: {$ref: "#/$defs/line"}}}')
    assert _accepts(schemas, {"a": None}) is True
    assert _accepts(schemas, {"a": "x"}) is False


def test_a_message_may_name_a_file_or_a_part_of_it() -> None:
    text = (
        '{"say": {"properties": {"a": {"$ref": "#/parts/n"}}}, "parts": {"n": {"type": "number"}}}'
    )
    schemas, report = _read('"parts.json#/say"', parts=text)
    assert list(report) == []
    assert _accepts(schemas, {"a": 1}) is True
    assert _accepts(schemas, {"a": "x"}) is False


def test_a_message_may_name_a_named_schema() -> None:
    schemas, report = _read('"#/schemas/pair"')
    assert list(report) == []
    assert _accepts(schemas, {"one": "x"}) is False


def test_files_refer_to_files_beside_them_and_back() -> None:
    one = '{"properties": {"b": {"$ref": "two.json#/$defs/node"}}}'
    two = '{"$defs": {"node": {"type": "object", "properties": {"up": {"$ref": "one.json"}}}}}'
    schemas, report = _read("one.json", one=one, two=two)
    assert list(report) == []
    assert _accepts(schemas, {"b": {"up": {"b": {}}}}) is True
    assert _accepts(schemas, {"b": {"up": {"b": 1}}}) is False


def test_the_same_schema_is_compiled_once() -> None:
    schemas, _ = _read("{type: string, maxLength: 5}")
    assert schemas.validator(SAY) is schemas.validator("/schemas/line")


@pytest.mark.parametrize(
    ("schema", "code", "words", "help"),
    [
        ('{$ref: "#/schemas/lin"}', "CH203", "no schema `lin`", "`#/schemas/line`"),
        ('{$defs: {ab: {}}, $ref: "#/$defs/abc"}', "CH203", "`#/$defs/abc`", "`#/$defs/ab`"),
        ('{$ref: "#abc"}', "CH203", "`#abc` is not an anchor", "`#/abc`"),
        ("nothere.json", "CH203", "`conf/nothere.json` can't be read: no such file", "conf/"),
        ('{$ref: "#/schemas/pair/$defs/par"}', "CH203", "does not exist", "#/$defs/part"),
        ('{$ref: "https://example.com/a"}', "CH204", "is remote", "save a copy"),
        ('{$ref: "//example.com/a"}', "CH204", "is remote", "save a copy"),
        ('"https://example.com/a"', "CH204", "is remote", "save a copy"),
        ('{$ref: "file:///etc/passwd"}', "CH204", "is remote", "save a copy"),
        ('"#nothing"', "CH203", "does not name a file", "#/schemas/NAME"),
        ("{$schema: 'http://json-schema.org/draft-03/schema'}", "CH205", "dialect", "2020-12"),
        ("{properties: {a: {type: strin}}}", "CH201", "`strin`", "`string`"),
        ('{properties: {a: {pattern: "(?=a)b"}}}', "CH210", "look-around", "plain groups"),
        (
            "{properties: {a: {$dynamicAnchor: '1 2'}}}",
            "CH201",
            "`$dynamicAnchor`: '1 2' does not match",
            "",
        ),
        ('{patternProperties: {"(": {}}}', "CH210", "can be compiled", "plain groups"),
    ],
)
def test_refusals(schema: str, code: str, words: str, help: str) -> None:
    schemas, report = _read(schema)
    (found,) = report
    assert found.code == code
    assert words in found.message
    assert help in found.help
    assert (found.place.file, found.place.line) == ("conf/channels.yaml", 11)
    assert schemas.validator(SAY) is None
    assert schemas.resolved(SAY) is None
    assert schemas.shape(SAY).lookup(("a",)).guaranteed


def test_a_finding_in_a_file_points_into_it() -> None:
    _, report = _read("one.json", one='{\n "properties": {"a": {"type": "strin"}}}')
    (found,) = report
    place = found.place
    assert (place.file, place.line, place.path) == ("conf/one.json", 2, "/properties/a/type")


def test_a_mistake_spoils_only_what_reaches_it() -> None:
    schemas, report = _read("{properties: {a: {$ref: '#/schemas/nope'}}}")
    assert len(report) == 1
    assert schemas.validator("/schemas/pair") is not None


def test_a_value_that_is_already_reported_is_not_reported_again() -> None:
    schemas, report = _read("{maximum: .inf}")
    assert [d.code for d in report] == ["CH014"]
    assert schemas.validator(SAY) is None


def test_a_file_that_yaml_refuses_is_reported_once() -> None:
    schemas, report = _read("one.json", one="{")
    assert len(report) == 1
    assert schemas.validator(SAY) is None


def test_frames_are_objects_and_params_need_not_be() -> None:
    schemas, _ = _read("{required: [a]}")
    assert schemas.shape(SAY).lookup(("a",)).guaranteed
    assert schemas.shape("/channels/room/params/room_id").lookup(()).types == {"string"}


def test_declared_schemas_come_in_the_file_s_order() -> None:
    config = _config({"schemas": {"s": True}, **_channels()})
    assert [pointer for pointer, _ in declared_schemas(config)] == [
        "/schemas/s",
        "/channels/room/params/p",
        SAY,
        "/channels/room/events/said/schema",
    ]


def _channels() -> dict[str, Any]:
    room = {"path": "/{p}", "params": {"p": {}}, "messages": {"say": {"schema": True}}}
    return {"channels": {"room": room}}


# The suite once more, now found, resolved and bundled as a configuration's own schemas are.
REFUSED: dict[str, Callable[[str], bool]] = {
    "CH204": lambda text: "http://localhost:1234/" in text,
    "CH205": lambda text: "http://localhost:1234/draft2020-12/metaschema" in text,
    "CH203": lambda text: "folderInteger.json" in text,
}


def _bundled(schema: Any) -> tuple[Schemas, Report]:
    text = json.dumps({"channeld": 1, "schemas": {"it": schema}})

    def read(name: str) -> bytes:
        return text.encode() if name == "c.yaml" else (SUITE / "remotes" / name).read_bytes()

    report = Report()
    sources = read_sources(
        "c.yaml", FileSystem(read, lambda _: []), {}, report, missing_is_error=False
    )
    return Schemas(Config(schemas={"it": schema}), sources, report), report


# `format.json` holds `format` for an annotation; here it is asserted.
FILES = sorted(path for path in SUITE.glob("*.json") if path.name != "format.json")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_suite(path: Path) -> None:
    for group in json.loads(path.read_text()):
        schemas, report = _bundled(group["schema"])
        validator = schemas.validator("/schemas/it")
        if validator is None:
            assert [d for d in report if REFUSED[d.code](json.dumps(group["schema"]))]
            continue
        assert list(report) == []
        for case in group["tests"]:
            assert validator.accepts(case["data"]) is case["valid"], (group, case)


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
        "import sys; from channeld.schema.schemas import against_meta_schema as a;"
        "assert not list(a({'type': 'string'})); print('jsonschema' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

"""Findings about schemas in whole files; and each code's own example, wrong and right."""

from collections.abc import Mapping
from typing import Any

import pytest

from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry
from channeld.diagnostics.diagnostic import Diagnostic

ENTRIES = [entry for entry in CATALOGUE.values() if entry.code.startswith("CH2")]

FILE = """\
channeld: 1
HEAD
channels:
  room:
    path: /rooms/{room_id}
    auth: none
    rooms: "{params.room_id}"
    messages:
      say: {schema: SCHEMA, THEN}
    events: {said: EVENT}
"""


@pytest.fixture
def findings(compile_text):  # type: ignore[no-untyped-def]
    def check(
        schema: str,
        *,
        then: str = "description: what is said",
        event: str = "{}",
        head: str = "",
        files: Mapping[str, bytes] | None = None,
    ) -> list[Diagnostic]:
        parts = {"HEAD\n": head, "SCHEMA": schema, "THEN": then, "EVENT": event}
        text = FILE
        for name, part in parts.items():
            text = text.replace(name, part)
        report = compile_text(text, files=files).compiled.report
        return [found for found in report if found.code.startswith("CH2")]

    return check


def _codes(found: list[Diagnostic]) -> list[str]:
    return [diagnostic.code for diagnostic in found]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_example(entry: CatalogueEntry, compile_text) -> None:  # type: ignore[no-untyped-def]
    wrong = compile_text(entry.wrong)
    assert wrong.read.errors == []
    assert [code for code in wrong.codes() if code.startswith("CH2")] == [entry.code]
    assert wrong.finding(entry.code).severity is entry.severity
    right = compile_text(entry.right)
    assert [code for code in right.codes() if code.startswith("CH2")] == []
    assert right.compiled.report.errors == []


def test_a_required_name_may_be_declared_beside_or_in_a_reference(findings) -> None:  # type: ignore[no-untyped-def]
    schema = (
        "{$ref: '#/schemas/base', anyOf: [{required: [a]}, {required: [b]}], not: {required: [c]}}"
    )
    head = "schemas: {base: {properties: {a: {}, b: {}}}}\n"
    assert findings(schema, head=head) == []


def test_a_named_part_is_judged_where_it_is_used(findings) -> None:  # type: ignore[no-untyped-def]
    head = "schemas: {needs: {required: [a]}, names: {properties: {a: {}}}}\n"
    assert (
        findings("{allOf: [{$ref: '#/schemas/needs'}, {$ref: '#/schemas/names'}]}", head=head) == []
    )
    alone = findings("{$ref: '#/schemas/needs'}", head=head)
    assert [(d.code, d.place.path) for d in alone] == [("CH208", "/schemas/needs/required/0")]


def test_a_typed_rest_needs_no_declared_names(findings) -> None:  # type: ignore[no-untyped-def]
    assert findings("{required: [a], additionalProperties: {type: string}}") == []


def test_a_closed_object_s_missing_name_is_one_finding(findings) -> None:  # type: ignore[no-untyped-def]
    schema = "{required: [txt], properties: {text: {}}, additionalProperties: false}"
    assert _codes(findings(schema)) == ["CH209"]


@pytest.mark.parametrize(
    "schema",
    [
        "{$ref: '#'}",
        "{allOf: [{$ref: '#'}]}",
        "{anyOf: [{type: object}, {not: {$ref: '#'}}]}",
        "{$defs: {a: {$ref: '#/$defs/b'}, b: {if: {$ref: '#/$defs/a'}}}, $ref: '#/$defs/a'}",
    ],
)
def test_loops(schema: str, findings) -> None:  # type: ignore[no-untyped-def]
    (found,) = findings(schema)
    assert found.code == "CH216"
    assert found.place.path.endswith("/$ref")


def test_steps_into_the_value_are_no_loop(findings) -> None:  # type: ignore[no-untyped-def]
    schema = (
        "{properties: {next: {$ref: '#'}, all: {items: {anyOf: [{$ref: '#'}, {type: string}]}}}}"
    )
    assert findings(schema) == []


def test_two_ways_to_one_schema_are_no_loop(findings) -> None:  # type: ignore[no-untyped-def]
    schema = "{$defs: {a: {}}, allOf: [{$ref: '#/$defs/a'}, {$ref: '#/$defs/a'}]}"
    assert findings(schema) == []


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("{type: string}", "schema/type"),
        ("{const: 1}", "schema"),
        ("false", "schema"),
        ("{allOf: [{type: array}]}", "schema"),
    ],
)
def test_no_frame_can_match(schema: str, path: str, findings) -> None:  # type: ignore[no-untyped-def]
    (found,) = findings(schema)
    assert (found.code, found.place.path) == ("CH217", f"/channels/room/messages/say/{path}")


def test_an_event_is_an_object_too(findings) -> None:  # type: ignore[no-untyped-def]
    (found,) = findings("true", event="{schema: {type: array}}")
    assert found.message.startswith("the schema of event `said`")


def test_claims_are_an_object_too(findings) -> None:  # type: ignore[no-untyped-def]
    head = (
        "auth: {s: {type: tokens, tokens: [{token: a-long-token-of-32-characters--, user: ann}], "
    )
    (found,) = findings("true", head=head + "claims: {type: array}}}\n")
    assert (found.code, found.place.path) == ("CH217", "/auth/s/claims/type")


@pytest.mark.parametrize(
    ("schema", "codes"),
    [
        ("{properties: {id: {type: string}}}", ["CH214"]),
        ("{required: [id], properties: {id: {type: string}}}", ["CH215"]),
        ("{allOf: [{required: [type], properties: {type: {}}}]}", ["CH215"]),
        ("{properties: {type: {}, id: {}}}", ["CH214", "CH214"]),
        ("{properties: {inner: {properties: {type: {}, id: {}}}}}", []),
    ],
)
def test_type_and_id_are_taken_off(schema: str, codes: list[str], findings) -> None:  # type: ignore[no-untyped-def]
    assert _codes(findings(schema)) == codes


def test_an_event_s_type_is_taken_off_and_its_id_is_its_own(findings) -> None:  # type: ignore[no-untyped-def]
    found = findings("true", event="{schema: {properties: {type: {}, id: {}}}}")
    assert [d.place.path for d in found] == ["/channels/room/events/said/schema/properties/type"]


@pytest.mark.parametrize(
    ("schema", "then"),
    [
        ("true", "route: room"),
        ("{properties: {a: {}}}", "route: none"),
        ("{properties: {a: {}}}", "route: sender"),
        ("{properties: {a: {}}}", "route: room, emit: {now: '{now}'}"),
        ("{properties: {a: {}}, additionalProperties: true}", "route: room"),
        ("{properties: {a: {}}, unevaluatedProperties: false}", "route: global"),
        ("{$ref: '#/schemas/closed'}", "route: room"),
    ],
)
def test_openness_that_is_meant_or_harmless(schema: str, then: str, findings) -> None:  # type: ignore[no-untyped-def]
    head = "schemas: {closed: {properties: {a: {}}, additionalProperties: false}}\n"
    assert findings(schema, then=then, head=head) == []


def test_openness_in_a_file_is_told_there(findings) -> None:  # type: ignore[no-untyped-def]
    (found,) = findings("say.json", then="route: room", files={"say.json": b'{"type": "object"}'})
    assert (found.code, found.place.file) == ("CH207", "say.json")


@pytest.mark.parametrize(
    "field",
    ["{type: string, maxLength: 9}", "{type: string, enum: [a]}", "{type: integer}", "true"],
)
def test_bounded_fields(field: str, findings) -> None:  # type: ignore[no-untyped-def]
    head = "server: {limits: {message_size: 1MiB}}\n"
    assert findings(f"{{properties: {{a: {field}}}}}", head=head) == []


def test_usual_message_sizes_bound_enough(findings) -> None:  # type: ignore[no-untyped-def]
    assert findings("{properties: {a: {type: string}}}") == []


@pytest.mark.parametrize(
    ("then", "path", "words"),
    [
        ("examples: [{a: 1}, {a: x}]", "examples/1/a", "example 2 of message `say` does not match"),
        ("examples: [1]", "examples/0", "it must be an object, not integer"),
        ("examples: [{}]", "examples/0", '"a" is required'),
    ],
)
def test_examples(then: str, path: str, words: str, findings) -> None:  # type: ignore[no-untyped-def]
    (found,) = findings("{required: [a], properties: {a: {type: integer}}}", then=then)
    assert (found.code, found.place.path) == ("CH213", f"/channels/room/messages/say/{path}")
    assert words in found.message


def test_an_example_with_a_type_is_told_so(findings) -> None:  # type: ignore[no-untyped-def]
    schema = "{properties: {a: {}}, additionalProperties: false}"
    (found,) = findings(schema, then="examples: [{type: say, a: 1}]")
    assert "leave `type` and `id` out" in found.help


def test_an_event_s_examples_are_checked(findings) -> None:  # type: ignore[no-untyped-def]
    event = "{schema: {properties: {a: {type: integer}}}, examples: [{a: x}]}"
    (found,) = findings("true", event=event)
    assert found.message.startswith("example 1 of event `said`")


def test_what_references_lead_to_is_no_unknown_keyword(findings) -> None:  # type: ignore[no-untyped-def]
    text = b'{"parts": {"a": {"maxlength": 1}}, "other": {}, "$ref": "#/parts/a"}'
    found = findings("say.json", files={"say.json": text})
    assert [(d.code, d.place.path) for d in found] == [
        ("CH219", "/other"),
        ("CH202", "/parts/a/maxlength"),
    ]


def test_a_schema_that_two_messages_share_is_told_once(findings) -> None:  # type: ignore[no-untyped-def]
    head = "schemas: {a: {format: zzz}}\n"
    schema = "{properties: {a: {$ref: '#/schemas/a'}, b: {$ref: '#/schemas/a'}}}"
    assert _codes(findings(schema, head=head)) == ["CH212"]


VENDOR = b"""{
  "$schema": "http://json-schema.org/draft-07/schema#", "_enum": ["a"], "comment": "ours", "type": "object",
  "definitions": {"point": {"type": "array", "items": [{"type": "number"}, {"type": "number"}], "additionalItems": false}},
  "properties": {"at": {"$ref": "#/definitions/point", "minItems": 9}, "to": {"$ref": "#/definitions/point/items/0"}},
  "additionalProperties": false
}"""


def of_file(schema: bytes, compile_text: Any) -> Any:
    text = "channels: {c: {path: /c, auth: none, messages: {m: {schema: s.json, route: sender}}}}"
    return compile_text(f"channeld: 1\n{text}\n", files={"s.json": schema})


def test_an_older_draft_is_read_by_its_own_rules(compile_text: Any) -> None:
    outcome = of_file(VENDOR, compile_text)
    assert outcome.codes() == []
    accepts = outcome.compiled.plan.channels["c"].messages["m"].accepts
    assert accepts({"at": [1, 2], "to": 3})
    assert not accepts({"at": [1, 2, 3]})
    assert not accepts({"to": "x"})


@pytest.mark.parametrize(
    ("dialect", "codes"),
    [
        ("http://json-schema.org/draft-04/schema#", []),
        ("http://json-schema.org/draft-07/schema#", []),
        ("https://json-schema.org/draft/2020-12/schema", ["CH206"]),
    ],
)
def test_the_words_of_an_older_draft_may_be_used_in_the_configuration(
    dialect: str, codes: list[str], compile_text: Any
) -> None:
    schema = f"""{{$schema: "{dialect}", definitions: {{a: {{type: number}}}}, additionalProperties: false,
      properties: {{x: {{$ref: "#/definitions/a"}}, y: {{maxlength: 3}}}}}}"""
    channel = f"{{path: /c, auth: none, messages: {{m: {{schema: {schema}, route: sender}}}}}}"
    assert compile_text(f"channeld: 1\nchannels: {{c: {channel}}}\n").codes() == [*codes, "CH202"]


def test_findings_in_an_older_draft_stand_where_they_are_written(compile_text: Any) -> None:
    wrong = VENDOR.replace(
        b'[{"type": "number"}, {', b'[{"type": "number"}, {"minimum": 3, "maximum": 2, '
    )
    (found,) = of_file(wrong, compile_text).compiled.report
    assert (found.code, found.place.line) == ("CH209", 3)
    missing = VENDOR.replace(b"items/0", b"items/7")
    (found,) = of_file(missing, compile_text).compiled.report
    assert (found.code, found.place.line) == ("CH203", 4)
    assert "`#/definitions/point/items/7` does not exist" in found.message


@pytest.mark.parametrize(
    ("head", "codes"),
    [
        (b'"$id": "https://example.com/s"', []),
        (b'"x-id": 1', ["CH202", "CH219"]),
    ],
)
def test_words_of_others_are_no_findings(head: bytes, codes: list[str], compile_text: Any) -> None:
    schema = b'{%s, "requried": [], "nullable": true, "additionalProperties": false}' % head
    outcome = of_file(schema, compile_text)
    assert outcome.codes() == codes
    assert not outcome.compiled.report.errors


@pytest.mark.parametrize("text", [b"root:x:0:secret\nfoo: [\n", b"secret", b"password: secret\n"])
def test_nothing_is_shown_of_a_file_that_is_not_a_schema(text: bytes, compile_text: Any) -> None:
    outcome = of_file(text, compile_text)
    found = [*outcome.compiled.report, *outcome.read]
    assert found
    assert not any("secret" in each.message + each.label + each.help for each in found)
    assert outcome.sources.text("s.json") is None

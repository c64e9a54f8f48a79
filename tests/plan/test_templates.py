import itertools
from collections.abc import Callable
from typing import Any

import attrs
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channeld.config.model import TokensAuth
from channeld.config.source import FileSystem, read_sources
from channeld.diagnostics.diagnostic import Report
from channeld.plan.expressions import Literal
from channeld.plan.identity import Identity
from channeld.plan.plan import MISSING
from channeld.plan.template_scope import TemplateScope
from channeld.plan.templates import TemplateCompiler
from channeld.protocol.frames import Json
from channeld.schema.guarantees import Shape

SCHEMA: Json = {
    "type": "object",
    "required": ["text", "n", "flag", "who", "tags"],
    "properties": {
        "text": {"type": "string"},
        "n": {"type": "number"},
        "flag": {"type": ["boolean", "null"]},
        "who": {
            "type": "object",
            "required": ["id"],
            "properties": {"id": {"type": "integer"}, "nick": {"type": "string"}},
        },
        "tags": {"type": "array"},
        "to": {"type": "string"},
    },
}
REACH = TemplateScope(
    place="emit",
    message=Shape(SCHEMA, of_object=True),
    message_type="say",
    params={"id": frozenset({"integer"}), "room": frozenset({"string"})},
    identity=Identity(),
    room=True,
)
FRAME = {"type": "say", "text": "hi", "n": 1.5, "flag": None, "who": {"id": 7}, "tags": [1]}


@pytest.fixture
def render(templates: TemplateCompiler, session: Callable[..., Any]) -> Callable[..., Any]:
    def run(value: Any, frame: Any = FRAME, **scope: Any) -> Any:
        checked = templates.compile(value, "", REACH)
        assert checked is not None, [d.message for d in templates.report]
        return checked.render(session(**scope), frame)

    return run


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("{{x}}", "{x}"),
        (7, 7),
        (None, None),
        ("{message.n}", 1.5),
        ("{message.who}", {"id": 7}),
        ("{message.who.id}", 7),
        ("{message.type}", "say"),
        ("{message.tags}", [1]),
        ("<{message.text}>", "<hi>"),
        ("{message.n}/{message.flag}/{message.who.id}", "1.5/null/7"),
        ("{params.id}", 3),
        ("{params.id}-{params.room}", "3-general"),
        ("{user.id?}", "ann"),
        ("{connection.id}", "c1"),
        ("{room}", "general"),
        ("{now}", "2023-11-14T22:13:20.042Z"),
        ("{now_ms}", 1_700_000_000_042),
        ("{uuid}", "00000000-0000-4000-8000-000000000000"),
        ([1, ["{message.n}"]], [1, [1.5]]),
        ({"a": "{message.n}", "b": {"c": 1}}, {"a": 1.5, "b": {"c": 1}}),
    ],
)
def test_a_template_renders(template: Any, value: Any, render: Callable[..., Any]) -> None:
    scope = {"params": {"id": 3, "room": "general"}, "user_id": "ann", "room": "general"}
    found = render(template, **scope)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{message.to?}", MISSING),
        ("to {message.to?}", MISSING),
        ("{message.who.nick?}", MISSING),
        ({"a": 1, "b": "{message.to?}", "c": "{message.n}"}, {"a": 1, "c": 1.5}),
        (["{message.to?}", "{message.n}"], [1.5]),
        ({"a": {"b": "{message.to?}"}}, {"a": {}}),
        ("{user.id?}", MISSING),
        ("{claims.x.y?}", MISSING),
    ],
)
def test_what_is_missing_is_left_out(template: Any, value: Any, render: Callable[..., Any]) -> None:
    assert render(template) == value


def test_an_object_keeps_the_order_of_the_file(render: Callable[..., Any]) -> None:
    found = render({"type": "x", "b": "{message.n}", "a": 1, "c": "{message.text}"})
    assert list(found) == ["type", "b", "a", "c"]


@pytest.mark.parametrize(("mark", "needed"), [("", True), ("?", False)])
def test_a_path_may_be_long(
    mark: str, needed: bool, templates: TemplateCompiler, session: Callable[..., Any]
) -> None:
    schema: Json = {"type": "string"}
    for name in ("c", "b", "a"):
        schema = {"required": [name] if needed else [], "properties": {name: schema}}
        schema["type"] = "object"
    scope = TemplateScope(place="emit", message=Shape(schema, of_object=True))
    checked = templates.compile(f"{{message.a.b.c{mark}}}", "", scope)
    assert checked is not None
    assert checked.render(session(), {"a": {"b": {"c": "x"}}}) == "x"
    assert needed or checked.render(session(), {"a": {}}) is MISSING


def test_a_constant_object_is_new_each_time(render: Callable[..., Any]) -> None:
    found = render({"type": "x"})
    found["room"] = "general"
    assert render({"type": "x"}) == {"type": "x"}


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{message.nope}", "CH309"),
        ("{message}", "CH309"),
        ("{message.who.nick.x?}", "CH309"),
        ("{message.to}", "CH310"),
        ("{message.who.nick}", "CH310"),
        ("all {message.tags}", "CH311"),
        ("all {message.who?}", "CH311"),
        ("{params.x}", "CH302"),
        ("{params.id.x}", "CH309"),
        ("{user.name}", "CH309"),
        ("{user.id}", "CH332"),
        ("{claims.sub}", "CH332"),
        ("{connection.ip}", "CH309"),
        ("{room.name}", "CH309"),
        ("{now.year}", "CH309"),
        ("{nope}", "CH319"),
        ("{nope", "CH318"),
        ({"{now}": 1}, "CH320"),
        ([{"a": "{message.to}"}], "CH310"),
        (2**64, "CH014"),
        ({"a": [-(2**63) - 1]}, "CH014"),
    ],
)
def test_a_template_that_could_fail_is_refused(
    template: Any, code: str, templates: TemplateCompiler
) -> None:
    assert templates.compile(template, "", REACH) is None
    assert [finding.code for finding in templates.report] == [code]


def test_a_name_is_text(templates: TemplateCompiler, session: Callable[..., Any]) -> None:
    checked = templates.compile_name("{message.n}", "", REACH)
    assert checked is not None
    assert checked.render(session(), {**FRAME, "n": 12}) == "12"


def test_a_name_may_be_missing(templates: TemplateCompiler, session: Callable[..., Any]) -> None:
    checked = templates.compile_name("{message.to?}", "", REACH)
    assert checked is not None
    assert checked.maybe
    assert checked.render(session(), FRAME) is MISSING


@pytest.mark.parametrize("template", ["{message.flag}", "{message.tags}", "{message.who}"])
def test_a_name_is_never_a_list_or_null(template: str, templates: TemplateCompiler) -> None:
    assert templates.compile_name(template, "", REACH) is None
    assert [finding.code for finding in templates.report] == ["CH311"]


def test_constants_are_folded(templates: TemplateCompiler) -> None:
    checked = templates.compile({"a": ["{{"]}, "", REACH)
    assert checked is not None
    assert checked.node == Literal({"a": ["{"]})


def in_file(text: str) -> TemplateCompiler:
    """A compiler of the template that stands at `/t` of a file."""
    report = Report()
    sources = read_sources(
        "channels.yaml",
        FileSystem(lambda _: f"t: {text}".encode(), lambda _: []),
        {},
        report,
        missing_is_error=True,
    )
    return TemplateCompiler(sources, Report())


def marked(templates: TemplateCompiler) -> list[tuple[str, str]]:
    """The code of each finding, and what it marks in the file's one line."""
    (line,) = (templates.sources.text("channels.yaml") or "").splitlines()
    return [
        (one.code, line[one.place.column - 1 : one.place.end_column - 1])
        for one in templates.report
    ]


@pytest.mark.parametrize(
    ("text", "code", "mark"),
    [
        ("'{message.nope}'", "CH309", "{message.nope}"),
        ("'all {message.tags}'", "CH311", "{message.tags}"),
        ("'to {nope'", "CH318", "{nope"),
        ("{'{now}': 1}", "CH320", "'{now}'"),
        ("{a: 1, 'x{now}': 1}", "CH320", "'x{now}'"),
        ("'{{user.id}}'", "CH340", "{{user.id}}"),
        ("'${params.id}'", "CH340", "${params.id}"),
        ("message.text", "CH340", "message.text"),
        ("{a: [18446744073709551616]}", "CH014", "18446744073709551616"),
    ],
)
def test_a_finding_marks_what_is_wrong(text: str, code: str, mark: str) -> None:
    templates = in_file(text)
    templates.compile(templates.sources.written("/t"), "/t", REACH)
    assert marked(templates) == [(code, mark)]


@pytest.mark.parametrize(
    ("text", "code", "mark", "label"),
    [
        ("'{message.flag}'", "CH311", "{message.flag}", "`message.flag` may be a boolean or null"),
        ("[1]", "CH311", "[1]", "this may be an array"),
        ("':id'", "CH340", "':id'", ""),
        ("<room>", "CH340", "<room>", ""),
        ("room", "CH340", "room", ""),
        ("elsewhere", "", "", ""),
        ('"x\\a"', "CH336", '"x\\a"', ""),
    ],
)
def test_a_finding_about_a_name_marks_what_is_wrong(
    text: str, code: str, mark: str, label: str
) -> None:
    templates = in_file(text)
    name: Any = templates.sources.written("/t")
    templates.compile_name(name, "/t", REACH)
    assert marked(templates) == ([(code, mark)] if code else [])
    assert [finding.label for finding in templates.report] == ([label] if code else [])


NAMES = st.sampled_from(["a", "b", "c"])
SCALAR_SCHEMAS = st.sampled_from(
    [{"type": "string"}, {"type": "integer"}, {"type": ["null", "boolean"]}, {"enum": [1, "x"]}]
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "required": st.lists(NAMES, max_size=3, unique=True),
        },
        optional={"type": st.just("object"), "additionalProperties": st.booleans()},
    )


SCHEMAS = objects(
    st.recursive(
        SCALAR_SCHEMAS | st.just({}) | st.just(True),
        lambda inner: (
            objects(inner)
            | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
        ),
        max_leaves=4,
    )
)
VALUES = st.recursive(
    st.sampled_from([None, True, 1, 2.5, "x", "y"]),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
FRAMES = st.fixed_dictionaries(dict.fromkeys("abc", VALUES)) | st.dictionaries(NAMES, VALUES)
PATHS = [".".join(path) for n in (1, 2) for path in itertools.product("abc", repeat=n)]
TEXTS = [t for path in PATHS for t in (f"{{message.{path}}}", f"<{{message.{path}?}}>")]


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(schema=SCHEMAS, frames=st.lists(FRAMES, min_size=4, max_size=8))
def test_a_template_that_passes_cannot_fail(
    schema: Any, frames: Any, templates: TemplateCompiler, session: Callable[..., Any]
) -> None:
    accepts = jsonschema_rs.validator_for(schema).is_valid
    scope = TemplateScope(place="emit", message=Shape(schema, of_object=True), message_type="say")
    for text in TEXTS:
        checked = templates.compile(text, "", scope)
        named = templates.compile_name(text, "", scope)
        for frame in filter(accepts, frames):
            if checked is not None:
                value = checked.render(session(), frame)
                assert checked.maybe or value is not MISSING
                assert value is MISSING or jsonschema_rs.is_valid(
                    {"type": list(checked.types)}, value
                )
            if named is not None:
                assert isinstance(named.render(session(), frame), str | type(MISSING))


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("{{connection.id}}", "{{connection.id}}"),
        ("by {{ now }}", "{{ now }}"),
        ("${connection.id}", "${connection.id}"),
        ("{{{connection.id}}}", None),
        ("{{x}}", None),
        ("{{}}", None),
        ("$5 {now}", None),
    ],
)
def test_what_looks_like_an_expression_of_another_tool_is_a_warning(
    text: str, warned: str | None, compile_text: Callable[..., Any]
) -> None:
    outcome = compile_text(
        f"""channeld: 1
channels:
  a:
    path: /a
    auth: none
    messages: {{say: {{schema: true, route: sender, stamp: {{deep: [{{by: "{text}"}}]}}}}}}
"""
    )
    literal = [one for one in outcome.compiled.report if one.code == "CH340"]
    assert [one.message.split("`")[1] for one in literal] == ([warned] if warned else [])
    assert outcome.compiled.plan is not None


@pytest.mark.parametrize("text", ["{message.x | upper}", "{message.x|upper}", "{now|date}"])
def test_a_filter_is_told_to_be_one(text: str, compile_text: Callable[..., Any]) -> None:
    outcome = compile_text(
        f"""channeld: 1
channels:
  a:
    path: /a
    auth: none
    messages: {{say: {{schema: true, route: sender, stamp: {{by: "{text}"}}}}}}
"""
    )
    assert outcome.codes() == ["CH318"]
    assert "change the value in a `hook`" in outcome.finding("CH318").help


LISTED = attrs.evolve(
    REACH,
    place="rooms.join",
    message=None,
    identity=Identity(authenticators=((TokensAuth(tokens=()), None),), names=("s",)),
)


@pytest.mark.parametrize(
    ("claims", "names"),
    [
        ({"teams": ["a", "b"]}, ["t-a-3", "t-b-3"]),
        ({"teams": ["x" * 128, "x" * 129, "", 5, None, ["a"], "b"]}, [f"t-{'x' * 128}-3", "t-b-3"]),
        ({"teams": "a"}, []),
        ({"teams": []}, []),
        ({}, []),
    ],
)
def test_a_list_claim_names_a_room_for_each_of_its_texts(
    claims: Any, names: list[str], templates: TemplateCompiler, session: Callable[..., Any]
) -> None:
    checked = templates.compile_name("t-{claims.teams.*?}-{params.id}", "", LISTED)
    assert checked is not None, [d.message for d in templates.report]
    assert checked.render(session(params={"id": 3}, claims=claims, user_id="ann"), {}) == names


def test_one_list_alone_names_its_texts(
    templates: TemplateCompiler, session: Callable[..., Any]
) -> None:
    checked = templates.compile_name("{claims.teams.*?}", "", LISTED)
    assert checked is not None
    assert checked.render(session(claims={"teams": ["a", 1]}, user_id="ann"), {}) == ["a"]


def test_two_lists_in_one_name_are_refused(templates: TemplateCompiler) -> None:
    assert templates.compile_name("{claims.a.*?}-{claims.b.*?}", "", LISTED) is None
    assert [finding.code for finding in templates.report] == ["CH320"]


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63)])
def test_the_largest_numbers_of_a_frame_may_stand_in_a_template(
    number: int, templates: TemplateCompiler
) -> None:
    assert templates.compile({"n": number}, "", REACH) is not None


@pytest.mark.parametrize("name", ["", "a" * 129, "a\u202eb"])
def test_a_constant_name_must_be_possible(name: str, templates: TemplateCompiler) -> None:
    assert templates.compile_name(name, "", REACH) is None
    assert [finding.code for finding in templates.report] == ["CH336"]


def test_what_a_name_cannot_be_is_said_as_a_sentence(templates: TemplateCompiler) -> None:
    templates.compile_name("{message.flag}", "", REACH)
    [finding] = templates.report
    assert "a boolean or null" in f"{finding.message} {finding.label}"

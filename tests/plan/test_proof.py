"""What goes out satisfies the events that it claims to be, or the configuration is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channeld.config.load import load
from channeld.config.source import FileSystem
from channeld.diagnostics.diagnostic import Severity
from channeld.plan.compile import compile  # noqa: A004 - the word for it
from channeld.plan.plan import Plan
from channeld.testing import running

Compile = Callable[..., Any]
TEXT: Any = {"type": "string", "maxLength": 10}


def frame(**fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": sorted(fields),
        "properties": fields,
        "additionalProperties": False,
    }


def channel(events: Any = None, **messages: Any) -> dict[str, Any]:
    declared = {"events": {k: {"schema": v} for k, v in events.items()}} if events else {}
    return {
        "description": "d",
        "auth": "none",
        "rooms": "main",
        "messages": messages or {"other": {"schema": frame(), "route": "none"}},
        **declared,
    }


def config(**channels: Any) -> str:
    return json.dumps(
        {"channeld": 1, "channels": {n: {"path": f"/{n}", **c} for n, c in channels.items()}}
    )


def codes(compile_text: Compile, text: str) -> list[str]:
    return [code for code in compile_text(text).codes() if code in ("CH316", "CH337")]


NARROW = frame(text={"type": "string", "maxLength": 5})


@pytest.mark.parametrize(("longest", "expected"), [(2, ["CH316"]), (25, [])])
def test_a_number_of_an_enum_may_be_written_longer(
    longest: int, expected: list[str], compile_text: Compile
) -> None:
    once = frame(text={"type": "string", "maxLength": longest})
    say = {"schema": frame(n={"enum": [1, 2]}), "route": "room", "emit": {"text": "v{message.n}"}}
    assert codes(compile_text, config(c=channel({"say": once}, say=say))) == expected


@pytest.mark.parametrize(
    ("wanted", "delivery", "expected"),
    [
        (frame(text=TEXT), {}, []),
        (NARROW, {}, ["CH316"]),
        (frame(text={"type": "string", "maxLength": 5, "pattern": "^a"}), {}, ["CH316"]),
        (frame(text=TEXT), {"stamp": {"at": "{now_ms}"}}, ["CH316"]),
        (frame(text=TEXT, at={"type": "integer"}), {"stamp": {"at": "{now_ms}"}}, []),
        (NARROW, {"stamp": {"text": "abc"}}, []),
        (NARROW, {"emit": {"text": "{message.text}"}}, ["CH316"]),
        (NARROW, {"emit": {"text": "abc"}}, []),
        (frame(text={"type": "string", "maxLength": 12}), {"emit": {"text": "> {message.text}"}}, []),
        (frame(text={"type": "string", "maxLength": 11}), {"emit": {"text": "> {message.text}"}}, ["CH316"]),
        ({"not": {"required": ["x"]}}, {}, ["CH337"]),
    ],
)  # fmt: skip
def test_own_events(wanted: Any, delivery: Any, expected: list[str], compile_text: Compile) -> None:
    say = {"schema": frame(text=TEXT), "route": "room", **delivery}
    assert codes(compile_text, config(c=channel({"say": wanted}, say=say))) == expected


@pytest.mark.parametrize("to", ["other", "*"])
def test_events_of_the_channels_that_a_route_reaches(to: str, compile_text: Compile) -> None:
    say = {"schema": frame(text=TEXT), "route": {"to": "global", "channel": to}}
    text = config(c=channel(say=say), other=channel({"say": NARROW}))
    found = compile_text(text).finding("CH316")
    assert "of channel `other`" in found.message
    assert (
        found.label
        == '`{"text": "aaaaaa"}` would be refused: `/text` must have at most 5 characters'
    )
    wide = config(c=channel(say=say), other=channel({"say": frame(text=TEXT)}))
    assert codes(compile_text, wide) == []


def test_what_is_proven_is_not_checked_again(compile_text: Compile) -> None:
    say = {"schema": frame(text=TEXT), "route": "room"}
    for wanted, is_checked in ((frame(text=TEXT), False), ({"not": {"required": ["x"]}}, True)):
        plan = compile_text(config(c=channel({"say": wanted}, say=say))).compiled.plan
        assert (plan.channels["c"].messages["say"].out is not None) is is_checked


# ------------------------------------------------------------------------------------------------ configurations

FIELDS = ("a", "b")
SCHEMAS = st.sampled_from(
    [
        {"type": "integer", "minimum": 0},
        {"type": "integer", "maximum": 5},
        {"type": ["integer", "null"]},
        {"type": "number"},
        {"type": "string", "maxLength": 3},
        {"type": "string"},
        {"enum": ["x", "yy"]},
        {"enum": [1, "x", None]},
        {"anyOf": [{"type": "integer"}, {"type": "string", "minLength": 1}]},
        {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
        {"not": {"const": "x"}},
        True,
    ]
)
VALUES: list[Any] = [0, 1, -1, 7, 1.5, "", "x", "yy", "long text", None, True, [], [1], [1, 2, "x"]]
TEMPLATES = st.sampled_from(
    ["{message.a}", "{message.b?}", "{message.a?}", "<{message.b?}>", "n {message.a}", "x", 1, None,
     ["{message.a?}"], {"in": "{message.b?}"}, "{now_ms}", "{room}", "{connection.id}"]
)  # fmt: skip
ROUTES = st.lists(
    st.sampled_from(
        [
            "room",
            "sender",
            "global",
            {"to": "global", "channel": "d"},
            {"to": "global", "channel": "*"},
        ]
    ),
    min_size=1,
    max_size=2,
    unique_by=json.dumps,
)


@st.composite
def frames(draw: st.DrawFn) -> Any:
    declared = draw(st.dictionaries(st.sampled_from(FIELDS), SCHEMAS, max_size=2))
    names = sorted(declared)
    required = draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    closed = draw(st.booleans())
    rest: Any = {"additionalProperties": False} if closed else {}
    return {"type": "object", "properties": declared, "required": required, **rest}


@st.composite
def configurations(draw: st.DrawFn) -> str:
    def message() -> Any:
        delivery = draw(st.sampled_from(["", "emit", "stamp"]))
        fields = draw(st.dictionaries(st.sampled_from((*FIELDS, "c")), TEMPLATES, max_size=2))
        more: Any = {delivery: fields} if delivery and fields else {}
        if delivery == "emit" and fields and draw(st.booleans()):
            more["emit"] = {"type": "e", **fields}
        return {"schema": draw(frames()), "route": draw(ROUTES), **more}

    events = st.none() | st.fixed_dictionaries({"m": frames(), "e": frames()})
    return config(
        c=channel(draw(events), m=message(), k=message()), d=channel(draw(events), m=message())
    )


def plan_of(text: str) -> Plan | None:
    loaded = load("c.yaml", FileSystem(lambda _: text.encode(), lambda _: []), {})
    if loaded.config is None or any(f.severity is Severity.ERROR for f in loaded.report):
        return None
    compiled = compile(loaded.config, loaded.sources)
    # What can't be told is only ever checked as it goes out, so it may be refused there.
    return None if any(f.code == "CH337" for f in compiled.report) else compiled.plan


async def sent(plan: Plan) -> int:
    """Send all sorts of messages; how many were accepted, none of them to be answered with INTERNAL_ERROR."""
    count = 0
    async with running(plan) as app:
        senders = {name: await app.connect(f"/{name}") for name in plan.channels}
        for name, client in senders.items():
            for type_, message in plan.channels[name].messages.items():
                for a in VALUES:
                    for b in (..., *VALUES[::4]):
                        body = {"a": a} if b is ... else {"a": a, "b": b}
                        if message.accepts(body):
                            count += 1
                            await client.send({"type": type_, **body})
        for name, client in senders.items():
            events = plan.channels[name].events or {}
            for frame in await client.received():
                assert frame["type"] != "error", frame
                event = events.get(frame["type"])
                bare = {key: value for key, value in frame.items() if key != "type"}
                assert event is None or event.validator.accepts(bare), frame
    return count


def test_a_configuration_without_findings_never_fails_inside() -> None:
    seen = {"plans": 0, "messages": 0, "refused": 0}

    @settings(
        max_examples=150, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(configurations())
    def judge(text: str) -> None:
        plan = plan_of(text)
        if plan is None:
            seen["refused"] += 1
            return
        seen["plans"] += 1
        seen["messages"] += trio.run(sent, plan)

    judge()
    assert seen["plans"] > 15, seen
    assert seen["messages"] > 1000, seen

import attrs
import pytest
from jsonschema import Draft202012Validator

from channeld.engine.reserved import SCHEMAS, VERBS
from channeld.protocol.reserved import (
    ANSWERS,
    EVERYTHING,
    FRAMES,
    RESERVED,
    RESERVED_CLIENT,
    SETTLING,
    Features,
    ReservedFrame,
)

EACH = pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: f"{frame.side} {frame.type}")


@EACH
def test_each_form_is_a_schema(frame: ReservedFrame) -> None:
    for features in (EVERYTHING, Features(), attrs.evolve(EVERYTHING, changes="gathered")):
        for schema in frame.schemas(features):
            Draft202012Validator.check_schema(schema)


@EACH
def test_each_form_is_told_in_words(frame: ReservedFrame) -> None:
    assert frame.words.endswith(".")
    assert all(f'"type": "{frame.type}"' in shown for shown, _ in frame.shown)
    fields = {name for kind in frame.kinds(EVERYTHING) for name in kind} - {
        "ref",
        "limit",
        "errors",
    }
    told = "".join(shown for shown, _ in frame.shown)
    open_form = "…}" in told
    assert open_form or all(f'"{name}"' in told for name in fields)


def test_client_types_are_reserved_and_each_has_an_answer() -> None:
    assert RESERVED_CLIENT < RESERVED
    assert (
        "connection" in RESERVED
    )  # the first event of a stream: it brings a secret, and nobody may word another
    assert ANSWERS.keys() == RESERVED_CLIENT
    assert {*ANSWERS.values(), "ack", "reply"} == {*SETTLING}


def test_a_channel_that_offers_nothing_has_the_bare_protocol() -> None:
    found = {(frame.side, frame.type) for frame in FRAMES if frame.when(Features())}
    assert found == {("client", "ping"), *(("server", t) for t in ("pong", "disconnect", "error"))}
    assert all(frame.when(EVERYTHING) for frame in FRAMES)


def test_the_engine_has_a_verb_for_each_client_frame_but_the_one_of_the_session() -> None:
    assert SCHEMAS.keys() == RESERVED_CLIENT
    assert VERBS.keys() == RESERVED_CLIENT - {"ping"}

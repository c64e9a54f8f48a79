"""Whether every value that one schema accepts satisfies another: proven, refuted by a value, or undecided."""

import functools
import json
from typing import Final

import attrs

from channeld.config.model import Config
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Report
from channeld.protocol.frames import Json
from channeld.schema.compare.compare import compare
from channeld.schema.compare.counterexample import Shown, find
from channeld.schema.compare.difference import Fact
from channeld.schema.compare.schema_ref import Book, Node
from channeld.schema.schemas import Schemas

MAX_SEARCHES: Final = 8


@attrs.frozen(slots=True, kw_only=True)
class Inclusion:
    """`refuted` is a value that only the first schema accepts, with the second's reason; `undecided`: why unknown."""

    refuted: Shown | None = None
    undecided: str = ""


def inclusion(inner: Json, outer: Json) -> Inclusion:
    """Compare two self-contained schemas; neither refuted nor undecided: every value of `inner` satisfies `outer`."""
    return _compared(json.dumps(inner, sort_keys=True), json.dumps(outer, sort_keys=True))


@functools.lru_cache(maxsize=512)
def _compared(inner: str, outer: str) -> Inclusion:
    # Messages of many types are often delivered alike, and reloads repeat the same comparisons.
    one, other = _node(json.loads(inner)), _node(json.loads(outer))
    losses = [fact for fact in compare(one, other) if fact.may_lose()]
    for fact in losses[:MAX_SEARCHES]:
        shown = find(fact, gained=False, is_frame=False)
        if shown is not None:
            return Inclusion(refuted=shown)
    return Inclusion(undecided=_reason(losses[0])) if losses else Inclusion()


def _reason(fact: Fact) -> str:
    which = f"`{fact.keyword}` of " if fact.keyword else ""
    return fact.note or f"{which}{fact.position.subject()} can't be compared"


def _node(schema: Json) -> Node:
    """A node for a schema that is in no file."""
    report = Report()
    schemas = Schemas(
        Config(schemas={"it": schema}), Sources(root="", report=report, read=_unread), report
    )
    root = schemas.root("/schemas/it")
    found = schemas.at(root) if root is not None else None
    return Node(Book(schemas), (found,) if found is not None else ())


def _unread(file: str) -> bytes:
    raise FileNotFoundError(file)

import ast
from collections.abc import Iterator
from pathlib import Path

import channeld
from channeld.telemetry import EVENTS


def test_a_source_is_one_of_the_events_fields() -> None:
    assert all(event.source is None or event.source in event.fields for event in EVENTS.values())


def test_no_event_carries_a_field_that_every_line_has() -> None:
    fields = {field for event in EVENTS.values() for field in event.fields}
    assert not fields & {"timestamp", "level", "event"}


def _calls() -> Iterator[tuple[str, str, set[str]]]:
    root = Path(channeld.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                first = node.args[0] if node.args else None
                if node.func.id == "log" and isinstance(first, ast.Constant):
                    named = {keyword.arg for keyword in node.keywords if keyword.arg}
                    yield f"{path.name}:{node.lineno}", str(first.value), named


def test_every_call_in_the_package_is_in_the_table() -> None:
    undeclared = [
        f"{where} {event} {sorted(fields)}"
        for where, event, fields in _calls()
        if event not in EVENTS or fields - set(EVENTS[event].fields) - {"exc_info", "exception"}
    ]
    assert undeclared == []

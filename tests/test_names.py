"""One meaning a name: a class is named for one thing in the whole package."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "channeld"

# What a client reads of the API's answers, or awaits of a server in tests, is named for what it shows.
PUBLIC = ("channeld/client/answers.py", "channeld/testing/")
# Nothing may be added: find the word that tells the two apart.
USED_TWICE = {
    "Answer", "Connection", "Engine", "Event", "Fanout", "Presence", "RedisBroker", "Server", "Session", "State",
}  # fmt: skip


def classes() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for node in () if name.startswith(PUBLIC) else ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(name)
    return found


def test_a_class_name_means_one_thing() -> None:
    repeated = {name: where for name, where in classes().items() if len(where) > 1}
    assert {name: where for name, where in repeated.items() if name not in USED_TWICE} == {}
    assert sorted(USED_TWICE - set(repeated)) == []

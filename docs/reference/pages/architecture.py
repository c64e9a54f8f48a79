"""The drawing in ARCHITECTURE.md: which package imports which, read from the code."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from pages.markdown import ROOT, fenced

PACKAGE = ROOT / "channeld"


def imports_drawing() -> str:
    """A Mermaid graph of the packages; an edge that follows from two others is left out."""
    graph = _imports()
    below = {name: _below(graph, name) for name in graph}
    edges = [
        f"  {name} --> {other}"
        for name in sorted(graph)
        for other in sorted(graph[name])
        if not any(other in below[between] for between in graph[name] - {other})
    ]
    return fenced("\n".join(["graph TD", *edges]), "mermaid")


def _imports() -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if not name.startswith("__"):
            found[name] |= {module.split(".")[1] for module in _imported(path)} - {name}
    return {name: others & found.keys() for name, others in found.items()}


def _imported(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        # What is imported for annotations alone is not a step of a program; import-linter looks at that.
        if isinstance(node, ast.ImportFrom) and node not in for_types:
            module = node.module or ""
            if module == "channeld":
                yield from (f"channeld.{alias.name}" for alias in node.names)
            elif module.startswith("channeld."):
                yield module


def _below(graph: Mapping[str, set[str]], name: str) -> set[str]:
    found: set[str] = set()
    waiting = [*graph[name]]
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += graph[other]
    return found

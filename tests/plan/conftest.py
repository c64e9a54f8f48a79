"""A configuration's text, read and compiled without any file."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

from channeld.config.load import load
from channeld.config.source import FileSystem, Sources, read_sources
from channeld.diagnostics.diagnostic import Diagnostic, Report
from channeld.plan.compile import Compiled, compile  # noqa: A004 - the word for it
from channeld.plan.templates import TemplateCompiler

ENVIRON = {"CHANNELD_SECRET": "s" * 40}
FILES = {"tokens.yaml": b"- {token: a-long-token-of-32-characters, user: ann}\n"}

Compile = Callable[..., "Outcome"]


@attrs.frozen
class Outcome:
    """What came of a text: the findings of reading it, and what `compile` gave."""

    read: Report
    compiled: Compiled
    sources: Sources

    def codes(self) -> list[str]:
        """The codes of `compile`'s findings, in the order of the file."""
        return [finding.code for finding in self.compiled.report.sorted()]

    def finding(self, code: str) -> Diagnostic:
        """The one finding of this code."""
        (found,) = (finding for finding in self.compiled.report if finding.code == code)
        return found


@pytest.fixture
def compile_text() -> Compile:
    def run(
        text: str,
        *,
        files: Mapping[str, bytes] | None = None,
        root: str | None = None,
        import_hooks: bool = False,
    ) -> Outcome:
        known = {**FILES, "channels.yaml": text.encode(), **(files or {})}

        def read(name: str) -> bytes:
            if name not in known:
                raise FileNotFoundError(2, "no such file", name)
            return known[name]

        loaded = load("channels.yaml", FileSystem(read, lambda pattern: []), ENVIRON)
        assert loaded.config is not None, [d.message for d in loaded.report]
        assert loaded.sources is not None
        compiled = compile(loaded.config, loaded.sources, import_hooks=import_hooks, hook_root=root)
        return Outcome(loaded.report, compiled, loaded.sources)

    return run


@pytest.fixture
def templates() -> TemplateCompiler:
    """A compiler of templates that stand in no file."""
    report = Report()
    sources = read_sources(
        "channels.yaml",
        FileSystem(lambda _: b"channeld: 1", lambda _: []),
        {},
        report,
        missing_is_error=True,
    )
    return TemplateCompiler(sources, report)


@attrs.define
class Session:
    """What a template finds at run time."""

    params: Mapping[str, Any] = attrs.field(factory=dict)
    user_id: str | None = None
    claims: Mapping[str, Any] = attrs.field(factory=dict)
    connection_id: str = "c1"
    room: str | None = None

    def now_ms(self) -> int:
        """The moment of the tests."""
        return 1_700_000_000_042

    def uuid(self) -> str:
        """The same each time."""
        return "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def session() -> type[Session]:
    return Session

"""Makes a plan from a file name: loads, compiles and applies ignores, in the same order for every command."""

import functools
import os
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import attrs

from channeld.config.ignores import apply_ignores
from channeld.config.load import MAX_BYTES, Loaded, file_system, load, without_echoes
from channeld.config.model import Config
from channeld.config.source import FileSystem, Sources
from channeld.diagnostics.diagnostic import Report
from channeld.plan.plan import Plan

STDIN: Final = "<stdin>"
# Codes below this are errors of YAML itself.
_STRUCTURE: Final = "CH1"


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Checked:
    """The result of checking one configuration. `plan` is None if the report has errors.

    `unreadable` says why the main file could not be read (so does the report), else it is empty.
    """

    file: str
    plan: Plan | None
    config: Config | None
    report: Report
    sources: Sources
    unreadable: str = ""


@attrs.frozen(slots=True)
class ValidConfig:
    """A configuration without errors: its plan, and the files that it is from."""

    plan: Plan
    sources: Sources


def check(
    file: str,
    *,
    environ: Mapping[str, str] = os.environ,
    import_hooks: bool = True,
    missing_is_error: bool = False,
    fresh: AbstractSet[str] = frozenset(),
    files: FileSystem | None = None,
) -> Checked:
    """Load and compile a file; `-` is standard input. Never raises because of the file, or because it is missing.

    `missing_is_error` makes an unset variable an error (to run) instead of a warning (to validate), and `fresh` names hook
    modules to import again; without `import_hooks`, only their source is checked. `files` is given if not all files come from
    disk, such as an editor's unsaved texts.
    """
    name = STDIN if file == "-" else file
    if files is None:
        files = with_stdin() if file == "-" else file_system()
    loaded = load(name, files, environ, missing_is_error=missing_is_error)
    plan, report = _compiled(loaded, import_hooks, fresh)
    return Checked(
        file=name,
        plan=plan,
        config=loaded.config,
        report=report,
        sources=loaded.sources,
        unreadable=loaded.sources.unreadable.get(name, ""),
    )


def check_any(file: str, *, import_hooks: bool = True, files: FileSystem | None = None) -> Checked:
    """As `check`, but also accepts a file of JSON Schemas, which has no configuration and no plan."""
    checked = check(file, import_hooks=import_hooks, files=files)
    tree = checked.sources.tree(checked.file)
    if tree is None or checked.config is None or checked.config.channels:
        return checked
    from channeld.schema.schema_file import check_schema_file, is_schema_file  # noqa: PLC0415 - rare

    if not is_schema_file(tree.value):
        return checked
    report = Report(finding for finding in checked.report if finding.code < _STRUCTURE)
    report.extend(check_schema_file(checked.sources))
    report = apply_ignores(report, checked.sources.ignores)
    return attrs.evolve(checked, plan=None, config=None, report=report)


def _compiled(
    loaded: Loaded, import_hooks: bool, fresh: AbstractSet[str]
) -> tuple[Plan | None, Report]:
    sources = loaded.sources
    if loaded.config is None:
        return None, apply_ignores(loaded.report, sources.ignores)
    from channeld.plan.compile import compile  # noqa: A004, PLC0415 - not for a file with a syntax error

    compiled = compile(loaded.config, sources, import_hooks=import_hooks, fresh=fresh)
    # The compiler may read schema files; their findings are in the report of the sources.
    read = without_echoes(loaded.report, compiled.report)
    together = Report([*read, *compiled.report])
    # Checks that need an imported module did not run, so their ignores are not reported as unused.
    report = apply_ignores(together, sources.ignores, unchecked=() if import_hooks else ("CH5",))
    if report.errors or compiled.plan is None:
        return None, report
    return attrs.evolve(compiled.plan, version=sources.version), report


def with_stdin() -> FileSystem:
    """The file system with standard input as `<stdin>`, read once; what it names lies relative to the working folder."""
    files = file_system()

    @functools.cache
    def standard_input() -> bytes:
        return sys.stdin.buffer.read(MAX_BYTES + 1)

    def read(file: str) -> bytes:
        if file != STDIN:
            return files.read(file)
        text = standard_input()
        if len(text) > MAX_BYTES:
            raise OSError(f"it is over {MAX_BYTES // 1024**2} MiB")
        return text

    return FileSystem(read=read, list_files=files.list_files)


class ConfigError(Exception):
    """A configuration has errors; the message is the whole report."""

    def __init__(self, checked: Checked) -> None:
        from channeld.diagnostics.render import render_text  # noqa: PLC0415 - only for errors

        super().__init__(render_text(checked.report, checked.sources, colour=False))
        self.checked = checked


def load_plan(file: str, environ: Mapping[str, str] = os.environ) -> Plan:
    """Load the plan of a file.

    Raises:
        ConfigError: it has errors, or cannot be read.
    """
    checked = check(file, environ=environ)
    if checked.plan is None:
        raise ConfigError(checked)
    return checked.plan

"""From a file's name to a plan: load, compile, and silence what is to be silenced, in the one order for everybody."""

import functools
import os
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import attrs

from channeld.config.ignores import apply_ignores
from channeld.config.load import MAX_BYTES, FileSystem, Loaded, file_system, load
from channeld.config.model import Config
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Report
from channeld.plan.plan import Plan

STDIN: Final = "<stdin>"
# What is wrong with a file as YAML has a lower code than this, whatever the file says.
_STRUCTURE: Final = "CH1"


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Checked:
    """All that is known of one configuration. `plan` is None when the report has errors.

    `unreadable` says why the main file itself could not be read (the report says it as well), else it is empty.
    """

    file: str
    plan: Plan | None
    config: Config | None
    report: Report
    sources: Sources
    unreadable: str = ""


def check(
    file: str,
    *,
    environ: Mapping[str, str] = os.environ,
    import_hooks: bool = True,
    missing_is_error: bool = False,
    fresh: AbstractSet[str] = frozenset(),
    files: FileSystem | None = None,
) -> Checked:
    """Load and compile a file, `-` for standard input. Never raises for what the file says, or for its absence.

    Args:
        file: as the user named it; places in the report name it the same way.
        environ: the variables that `${NAME}` may name.
        import_hooks: whether hook modules are imported; otherwise only their source is looked at.
        missing_is_error: whether a variable that is not set is an error (to run), or a warning (to validate).
        fresh: hook modules that are to be imported again.
        files: how files are read where not from the disk alone, as with an editor's unsaved texts.
    """
    name = STDIN if file == "-" else file
    if files is None:
        files = with_stdin() if file == "-" else file_system()
    loaded = load(
        name,
        environ=environ,
        read=files.read,
        list_files=files.list_files,
        missing_is_error=missing_is_error,
    )
    plan, report = _compiled(loaded, import_hooks, fresh)
    return Checked(
        file=name,
        plan=plan,
        config=loaded.config,
        report=report,
        sources=loaded.sources,
        unreadable=loaded.sources.unreadable.get(name, ""),
    )


def check_any(
    file: str,
    *,
    environ: Mapping[str, str] = os.environ,
    import_hooks: bool = True,
    files: FileSystem | None = None,
) -> Checked:
    """As `check`, but a file of JSON Schemas is checked as what it is; neither has a plan then, nor a configuration."""
    checked = check(file, environ=environ, import_hooks=import_hooks, files=files)
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
    # The compiler may read schema files, whose findings go to the report of the sources.
    together = Report([*loaded.report, *compiled.report])
    # What needs an imported module finds nothing without one, so nothing is said of its ignores.
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
    """A configuration has errors; the text is the whole report."""

    def __init__(self, checked: Checked) -> None:
        from channeld.diagnostics.render import render_text  # noqa: PLC0415 - only for errors

        super().__init__(render_text(checked.report, checked.sources, colour=False))
        self.checked = checked


def load_plan(file: str, environ: Mapping[str, str] = os.environ) -> Plan:
    """The plan of a file.

    Raises:
        ConfigError: it has errors, or cannot be read.
    """
    checked = check(file, environ=environ)
    if checked.plan is None:
        raise ConfigError(checked)
    return checked.plan

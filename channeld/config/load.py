"""Loads a configuration from its files into the model: read, check, structure, rules, in this order."""

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from channeld.config.model import Config
from channeld.config.rules import check
from channeld.config.source import FileSystem, Sources, read_sources
from channeld.config.structure import structure
from channeld.diagnostics.diagnostic import Diagnostic, Report

_OF_VALUES: Final = frozenset({"CH005", "CH013"})
_OF_ABSENCE: Final = frozenset({"CH101", "CH104"})
MAX_BYTES = 16 * 1024 * 1024


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Loaded:
    """The result of loading. `config` is None only if nothing could be understood.

    If the report has errors, it lacks the invalid parts: good for further checks, but not to run. Comments that silence
    findings are not applied yet; the caller does that with `apply_ignores` after the last check.
    """

    config: Config | None
    sources: Sources
    report: Report


def load(
    file: str,
    files: FileSystem,
    environ: Mapping[str, str],
    *,
    missing_is_error: bool = False,
) -> Loaded:
    """Load a configuration. All errors go to the report; nothing is raised.

    `missing_is_error`: whether an unset variable or an absent secrets file is an error (to run) or a warning (to validate).
    """
    report = Report()
    sources = read_sources(file, files, environ, report, missing_is_error=missing_is_error)
    found = Report()
    config = structure(sources, found, missing_is_error=missing_is_error)
    sources.is_sound = not (report.errors or found.errors)
    if config is not None:
        found.extend(check(config, sources))
    # Schema files are read from now on; their findings belong to the same report.
    sources.report = _together(report, found)
    return Loaded(config=config, sources=sources, report=sources.report)


def without_echoes(report: Report, understood: Report) -> Report:
    """The report without YAML findings about values (or examples) for which an error says what was meant."""
    wrong = {(error.place.file, error.place.path) for error in understood.errors}
    examples = tuple(f"{e.place.path}/" for e in understood.errors if e.code == "CH213")

    def is_echo(found: Diagnostic) -> bool:
        place = found.place
        is_known = (place.file, place.path) in wrong or place.path.startswith(examples)
        return found.code in _OF_VALUES and is_known

    return Report(found for found in report if not is_echo(found))


def _together(read: Report, understood: Report) -> Report:
    """Merge both reports with one finding per mistake: a YAML finding gives way to one that knows what was meant."""
    is_cut = any(finding.code == "CH003" for finding in read)
    report = without_echoes(read, understood)
    # A missing key may be in another document of the file.
    report.extend(d for d in understood if not (is_cut and d.code in _OF_ABSENCE))
    report.wrong |= understood.wrong
    return report


def file_system() -> FileSystem:
    """The real file system; paths are relative to the working folder."""
    return FileSystem(read=_read, list_files=_list_files)


def _read(file: str) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except ValueError as problem:
        raise OSError(str(problem)) from problem
    if len(data) > MAX_BYTES:
        raise OSError(f"it is over {MAX_BYTES // 1024**2} MiB")
    return data


def _list_files(pattern: str) -> list[str]:
    if "\0" in pattern:
        return []
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 - a pattern may start at the root
    return sorted(name for name in names if Path(name).is_file())

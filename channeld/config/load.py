"""A configuration from its files to the model: read, check, structure, rules, in this order."""

import glob
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import attrs

from channeld.config.model import Config
from channeld.config.rules import check
from channeld.config.source import Sources, read_sources
from channeld.config.structure import structure
from channeld.diagnostics.diagnostic import Report

_OF_VALUES: Final = frozenset({"CH005", "CH013"})
_OF_ABSENCE: Final = frozenset({"CH101", "CH104"})
MAX_BYTES = 16 * 1024 * 1024


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Loaded:
    """What came of a configuration. `config` is None only where nothing of it could be understood.

    With errors in the report it is what is left without the parts that are wrong: good for further checks, not to run.
    Comments that silence findings are not applied: the caller that has the last finding does that, with `apply_ignores`.
    """

    config: Config | None
    sources: Sources
    report: Report


class FileSystem(NamedTuple):
    """How a configuration reaches files: `read` gives bytes or raises OSError, `list_files` what a pattern matches."""

    read: Callable[[str], bytes]
    list_files: Callable[[str], list[str]]


def load(
    file: str,
    *,
    environ: Mapping[str, str],
    read: Callable[[str], bytes],
    list_files: Callable[[str], list[str]],
    missing_is_error: bool = False,
) -> Loaded:
    """Load a configuration; whatever is wrong with it goes to the report, nothing is raised.

    Args:
        file: the main file.
        environ: the variables that `${NAME}` may name.
        read: gives a file's bytes; may raise OSError.
        list_files: the files that match an include pattern.
        missing_is_error: whether a missing variable or file of secrets is an error (to run) or a warning (to validate).
    """
    report = Report()
    sources = read_sources(
        file, read, environ, report, list_files=list_files, missing_is_error=missing_is_error
    )
    found = Report()
    config = structure(sources, found, read=read, missing_is_error=missing_is_error)
    sources.is_sound = not (report.errors or found.errors)
    if config is not None:
        found.extend(check(config, sources))
    # What is read from now on (schema files) has its findings where these are.
    sources.report = _together(report, found)
    return Loaded(config=config, sources=sources, report=sources.report)


def _together(read: Report, understood: Report) -> Report:
    """Both reports, one finding a mistake: none about a value as YAML where what was meant by it is known better."""
    wrong = {finding.place for finding in understood.errors}
    is_cut = any(finding.code == "CH003" for finding in read)
    report = Report()
    report.extend(d for d in read if d.code not in _OF_VALUES or d.place not in wrong)
    # What is missing may stand in a further document.
    report.extend(d for d in understood if not (is_cut and d.code in _OF_ABSENCE))
    return report


def file_system() -> FileSystem:
    """The real file system, paths relative to the working folder."""
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

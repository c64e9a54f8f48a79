"""`channeld validate`: every problem of configurations, schema and scenario files at once, for people and machines."""

import os
import posixpath
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs
import click

from channeld import __version__
from channeld.cli.loading import DEFAULT_FILE
from channeld.cli.output import JsonCommand, has_colour
from channeld.config.file_kinds import files_below, is_configuration, is_scenarios
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Place, Report
from channeld.diagnostics.render import (
    Joined,
    OneText,
    render_text,
    summary,
)
from channeld.plan.load import Checked, check_any

FORMATS: Final = ("text", "json", "github", "sarif", "junit")


@click.command("validate", cls=JsonCommand, empty={"files": [], "diagnostics": [], "summary": None})
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path())
@click.option("--format", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Fail on warnings, not only on errors.")
@click.option(
    "--no-hooks", is_flag=True, help="Do not import Python code; only read the source of hooks."
)
@click.option("-o", "--output", metavar="FILE", help="Write the report to FILE instead of stdout.")
def command(
    files: tuple[str, ...], format: str, strict: bool, no_hooks: bool, output: str | None
) -> int:
    """Report every problem in a configuration at once.

    FILE is a configuration, a JSON Schema file, a scenario file (*.test.yaml), a folder, or - for standard input. In a
    folder, every channels.yaml and scenario file is checked; schema files are checked with the configuration that names
    them. Several files give one report. Exit status: 1 for errors (with --strict, also for warnings), 2 if a file cannot
    be read.
    """
    names = list(dict.fromkeys(configurations(files or (DEFAULT_FILE,))))
    colour = output is None and has_colour(sys.stdout)
    checked = list(_checked(names, import_hooks=not no_hooks))
    report = Report(found for each in checked for found in each.report)
    texts = Joined(tuple(each.sources for each in checked))
    text = _rendered(format, report, texts, strict=strict, colour=colour)
    if output is None:
        click.echo(text, nl=False)
    else:
        Path(output).write_text(text, encoding="utf-8")
        click.echo(f"{summary(report.sorted(), texts)}; see {output}", err=True)
    return _status(checked, report, strict=strict)


@attrs.frozen
class _ScenarioFile:
    """A scenario file that was read but not run, with what a report needs, as in `Checked`."""

    report: Report
    sources: OneText
    unreadable: str


def _checked(names: list[str], *, import_hooks: bool) -> Iterator[Checked | _ScenarioFile]:
    scenarios = [name for name in names if is_scenarios(name)]
    others = [name for name in names if name not in scenarios]
    yield from (check_any(name, import_hooks=import_hooks) for name in others)
    if scenarios:
        yield from _scenario_files(scenarios, others, import_hooks=import_hooks)


def _scenario_files(
    names: list[str], configs: list[str], *, import_hooks: bool
) -> Iterator[_ScenarioFile]:
    from channeld.scenarios.suite import Options, Runs, read_file  # noqa: PLC0415 - it brings the whole engine with it

    runs = Runs(Options(), import_hooks=import_hooks)
    told = {posixpath.normpath(name) for name in configs}
    for name in names:
        parsed = read_file(name)
        if parsed.unreadable:
            message = f"`{name}` can't be read: {parsed.unreadable}"
            help = "check its name, and that this user may read it"
            parsed.report.add(diagnose("CH117", message, Place(name), help=help))
        report = runs.check(parsed, told)
        yield _ScenarioFile(report, OneText(name, parsed.text), parsed.unreadable)


def _rendered(format: str, report: Report, texts: Joined, *, strict: bool, colour: bool) -> str:
    match format:  # each loads its own, 2 to 6 ms
        case "json":
            from channeld.diagnostics.render.json import render_json  # noqa: PLC0415

            return render_json(report, texts)
        case "github":
            from channeld.diagnostics.render.github import render_github  # noqa: PLC0415

            return render_github(report, texts)
        case "sarif":
            from channeld.diagnostics.render.sarif import render_sarif  # noqa: PLC0415

            return render_sarif(report, texts, version=__version__)
        case "junit":
            from channeld.diagnostics.render.junit import render_junit  # noqa: PLC0415

            return render_junit(report, texts, strict=strict)
        case _:
            return render_text(report, texts, colour=colour)


def _status(checked: Iterable[Checked | _ScenarioFile], report: Report, *, strict: bool) -> int:
    if any(each.unreadable for each in checked):
        return 2
    return 1 if report.errors or (strict and report.warnings) else 0


def configurations(files: Iterable[str]) -> Iterator[str]:
    """The files to check: as named, and for a folder every `channels.yaml` and scenario file in or below it.

    For a folder with neither, its missing `channels.yaml`, so that the report says so.
    """
    for file in files:
        if file == "-" or not os.path.isdir(file):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
            yield file
        else:
            yield from sorted(files_below(file, _is_known)) or [os.path.join(file, DEFAULT_FILE)]  # noqa: PTH118 - keeps `./`


def _is_known(name: str) -> bool:
    return is_configuration(name) or is_scenarios(name)

"""`channeld test`: runs scenario files against the real engine in virtual time, and reports what they did not reach."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

import attrs
import click

from channeld.cli.fuzzing import demand_backends, fuzz_hooks, parse_backends
from channeld.cli.output import JsonCommand, Unreadable, has_colour
from channeld.diagnostics.diagnostic import Report
from channeld.diagnostics.render import render_text
from channeld.scenarios.coverage import Coverage, cover, percent
from channeld.scenarios.outcome import FileResult, Status, texts_of
from channeld.scenarios.reports import (
    render_github_outcomes,
    render_json_outcomes,
    render_junit_outcomes,
)
from channeld.scenarios.suite import Options, find_files, run_files
from channeld.scenarios.text import render_outcome, summary

FORMATS: Final = ("text", "json", "junit", "github")


@click.command("test", cls=JsonCommand, empty={"scenarios": [], "hooks": [], "summary": None})
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "-k", "select", metavar="TEXT", default="", help="Run only scenarios whose name contains TEXT."
)
@click.option("--format", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("-v", "--verbose", is_flag=True, help="Also name the scenarios that pass.")
@click.option("--coverage", is_flag=True, help="Report what no scenario reached.")
@click.option(
    "--min-coverage",
    type=click.FloatRange(0, 100),
    metavar="N",
    help="Fail if coverage is below N percent.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Number of processes; each runs whole files.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 3600),
    default=10.0,
    show_default=True,
    help="Maximum real time for a scenario, in seconds.",
)
@click.option(
    "--fuzz",
    "messages",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="Call each message hook with N generated messages instead; PATH is then a configuration.",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME=URL",
    callback=parse_backends,
    help="Call this backend for its hooks instead of treating it as unreachable; repeatable.",
)
def command(  # noqa: PLR0913, PLR0917 - click hands over each option by itself
    paths: tuple[str, ...],
    select: str,
    format: str,
    verbose: bool,
    coverage: bool,
    min_coverage: float | None,
    jobs: int | None,
    timeout: float,
    messages: int | None,
    backends: Mapping[str, str],
) -> int:
    """Run scenario files against the real engine, in virtual time.

    PATH is a scenario file, or a folder that is searched for `*.test.yaml` files (default: the current folder). Exit
    status: 1 if a scenario fails or a file is invalid, 2 if there are no scenarios or a file cannot be read.
    """
    options = Options(select=select, cap=timeout, backends=backends)
    if messages is not None:
        return fuzz_hooks(paths, messages, format, options)
    started = time.perf_counter()
    view = _View(options=options, verbose=verbose, colour=has_colour(sys.stdout))
    results: list[FileResult] = []
    try:
        for result in run_files(_find(paths or (".",)), options, jobs=jobs):
            results.append(result)
            if format == "text":
                view.show(result)
        _demand_scenarios(results, select)
        known = {name for one in results for name in one.backends}
        demand_backends(known, backends, "no configuration has a")
    except click.ClickException as error:
        if format not in {"json", "junit"}:
            raise
        # The output is still one document, with the results so far.
        _show_all(format, results, 0.0, None)
        error.show()
        return error.exit_code
    seconds = time.perf_counter() - started
    covered = None
    if coverage or min_coverage is not None:
        covered = cover(one.reached for one in results if one.reached is not None)
    _show_all(format, results, seconds, covered if coverage or format == "json" else None)
    return _status(results, covered, min_coverage)


def _find(paths: Sequence[str]) -> list[str]:
    missing = next((path for path in paths if not os.path.exists(path)), None)  # noqa: PTH110 - Path.exists raises for a name that is too long
    if missing is not None:
        raise Unreadable(f"{missing}: there is no such file or folder")
    files = find_files(paths)
    if not files:
        where = ", ".join(paths)
        raise Unreadable(f"no scenario: there is no `*.test.yaml` file in {where} or below")
    return files


def _demand_scenarios(results: Iterable[FileResult], select: str) -> None:
    """Fail if there are no scenarios at all."""
    if not any(one.outcomes or one.is_broken for one in results):
        raise Unreadable(f"no scenario: no name has {select!r} in it")


@attrs.frozen
class _View:
    """Prints results as text while they arrive."""

    options: Options
    verbose: bool
    colour: bool

    def show(self, result: FileResult) -> None:
        """Show the results of one file."""
        if result.unreadable:
            click.echo(f"{result.file}: {result.unreadable}", err=True)
        if result.diagnostics:
            report = Report(result.diagnostics)
            click.echo(render_text(report, texts_of([result]), colour=self.colour))
        for outcome in result.outcomes:
            if self.verbose or outcome.status is not Status.PASS:
                text = render_outcome(outcome, result.text, colour=self.colour)
                click.echo(text, nl=bool(outcome.problems))


def _show_all(
    format: str,
    results: Sequence[FileResult],
    seconds: float,
    covered: Sequence[Coverage] | None,
) -> None:
    match format:
        case "json":
            click.echo(render_json_outcomes(results, seconds, covered), nl=False)
        case "junit":
            click.echo(render_junit_outcomes(results, seconds), nl=False)
        case "github":
            click.echo(render_github_outcomes(results, seconds), nl=False)
        case _:
            click.echo(summary(results, seconds))
    if covered is not None and format != "json":
        # If stdout has a document, text for people goes to stderr.
        for line in _coverage_lines(covered):
            click.echo(line, err=format != "text")


def _coverage_lines(covered: Sequence[Coverage]) -> Iterator[str]:
    for one in covered:
        yield ""
        yield f"coverage of {one.config}: {one.percent:g} % ({one.reached} of {one.total})"
        width = max(map(len, one.channels), default=0)
        for name, (reached, total) in one.channels.items():
            yield f"  {name:<{width}}  {percent(reached, total):>5.1f} %  {reached} of {total}"
        if one.missed:
            yield "  not reached:"
        for channel, missed in groupby(one.missed, key=lambda each: each.point.channel):
            yield f"    {channel}"
            for each in missed:
                at = f"{each.place.file}:{each.place.line}"
                yield f"      {each.point.kind:<8} {each.point.name:<32} {at}"


def _status(
    results: Sequence[FileResult], covered: Sequence[Coverage] | None, least: float | None
) -> int:
    if any(one.unreadable for one in results):
        return 2
    if any(one.count(Status.FAIL) or one.count(Status.ERROR) for one in results):
        return 1
    if least is None or covered is None:
        return 0
    whole = percent(sum(one.reached for one in covered), sum(one.total for one in covered))
    if whole >= least:
        return 0
    click.echo(
        f"coverage is {whole:g} %, and {least:g} % is required (--coverage lists the rest)",
        err=True,
    )
    return 1

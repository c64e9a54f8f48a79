"""`channeld diff OLD NEW`: what changed for clients, each change classified as breaking, dangerous or safe."""

import sys
from datetime import UTC, datetime
from typing import Final

import click

from channeld.cli.loading import DEFAULT_FILE
from channeld.cli.output import JsonCommand, Unreadable, has_colour
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Report
from channeld.diagnostics.render import Joined, render_text
from channeld.diff.accept import accept
from channeld.diff.change import Change, Level
from channeld.diff.changes import changes
from channeld.diff.render import EMPTY, render_github, render_json, render_markdown
from channeld.diff.revisions import Located, NoRevision, file_of, locate
from channeld.diff.rights import right_changes
from channeld.diff.side import Side, Unloaded, load_side
from channeld.diff.text import DiffResult
from channeld.diff.text import render_text as render_changes
from channeld.plan.load import check

FORMATS: Final = ("text", "json", "github", "markdown")
FAILS: Final = ("breaking", "dangerous", "security", "never")


@click.command("diff", cls=JsonCommand, empty=EMPTY)
@click.argument("old")
@click.argument("new", default=DEFAULT_FILE)
@click.option("--format", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option(
    "--fail-on",
    type=click.Choice(FAILS),
    default="breaking",
    show_default=True,
    help="Which changes give exit status 1; dangerous and security include breaking.",
)
@click.option("--all", "everything", is_flag=True, help="Also show changed descriptions.")
def command(old: str, new: str, format: str, fail_on: str, everything: bool) -> int:
    """Show what changes for clients from OLD to NEW.

    Each is a file, - (standard input, for one of them), REV:PATH (a file in a git revision), or git:REV (the other one's
    file at that revision). Exit status: 1 if a change breaks clients and is not listed in diff.accept, 2 if either cannot
    be read.
    """
    if old == new == "-":
        raise click.UsageError("only one of OLD and NEW can be standard input")
    was, now = _sides(old, new)
    outcome = _outcome(was, now, everything)
    click.echo(_rendered(format, outcome, was, now), nl=False)
    return 1 if any(_fails(change, fail_on) for change in outcome.changes) else 0


def _outcome(was: Side, now: Side, everything: bool) -> DiffResult:
    found = changes(was, now, everything=everything)
    judged = accept(found, now, datetime.now(UTC).date())
    return DiffResult(
        old=was.name,
        new=now.name,
        changes=tuple(judged.changes),
        warnings=tuple(judged.warnings),
        rights=right_changes(was, now),
    )


def _sides(old: str, new: str) -> tuple[Side, Side]:
    try:
        before = locate(old, file_of(new, DEFAULT_FILE))
        after = locate(new, file_of(old, DEFAULT_FILE))
    except NoRevision as problem:
        raise Unreadable(str(problem)) from problem
    now = _loaded(after)
    was = _loaded(before)
    if isinstance(now, Unloaded) or now.report.errors:
        _show(now.report, now.sources)
        raise click.ClickException(f"{new} is not valid")
    _demand_compiled(after)
    if isinstance(was, Unloaded):
        _show(was.report, was.sources)
        raise Unreadable(f"{old} can't be compared: nothing of it can be understood")
    if was.report.errors:
        _note_errors(was)
    return was, now


def _loaded(located: Located) -> Side | Unloaded:
    side = load_side(located.file, located.files, name=located.name, prefix=located.prefix)
    if isinstance(side, Unloaded) and side.unreadable:
        raise Unreadable(f"{located.prefix}{located.file}: {side.unreadable}")
    return side


def _demand_compiled(new: Located) -> None:
    """Refuse a new file that no server would start with: its effect on clients is unknown."""
    checked = check(new.file, import_hooks=False, files=new.files)
    # Hook modules come from the working folder, whatever the revision.
    errors = [one for one in checked.report.errors if not (new.prefix and one.code[:3] == "CH5")]
    if errors:
        _show(Report(errors), checked.sources)
        raise click.ClickException(f"{new.name} is not valid")


def _show(report: Report, sources: Sources) -> None:
    errors = Report(report.errors)
    click.echo(render_text(errors, sources, colour=has_colour(sys.stderr)), err=True)


def _note_errors(was: Side) -> None:
    """Note that invalid parts of the old file are not compared."""
    found = was.report.errors
    count = f"{len(found)} error{'s' * (len(found) != 1)}"
    click.echo(f"note: {was.name} has {count}; what is wrong is left out:", err=True)
    for error in found[:5]:
        place = was.shown(error.place)
        where = f"{place.file}:{place.line}:{place.column}"
        click.echo(f"  {where}: {error.code} {error.message}", err=True)


def _rendered(format: str, outcome: DiffResult, was: Side, now: Side) -> str:
    match format:
        case "json":
            return render_json(outcome)
        case "github":
            return render_github(outcome, now.prefix)
        case "markdown":
            return render_markdown(outcome)
        case _:
            texts = Joined((now, was))
            return render_changes(outcome, texts, colour=has_colour(sys.stdout))


def _fails(change: Change, fail_on: str) -> bool:
    if change.accepted is not None or fail_on == "never":
        return False
    levels = {Level.BREAKING} | ({Level.DANGEROUS} if fail_on == "dangerous" else set())
    return change.level in levels or (fail_on == "security" and change.security)

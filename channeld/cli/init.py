"""`channeld init`: a working project in a new or empty folder, from a template or from an AsyncAPI document."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from channeld.cli.output import Unreadable
from channeld.config.yaml import parse
from channeld.dev.asyncapi import AsyncapiRefused, first_file
from channeld.dev.new_project import TEMPLATES, InTheWay, contents, create, schema
from channeld.diagnostics.diagnostic import Report

_SHOWN: Final = 5


@click.command("init")
@click.argument("folder", default=".", metavar="[DIR]")
@click.option(
    "--template",
    type=click.Choice(list(TEMPLATES)),
    default="chat",
    show_default=True,
    help="; ".join(f"{name}: {line}" for name, line in TEMPLATES.items()) + ".",
)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    help="Take channels, messages and schemas from an AsyncAPI document (2.x or 3.x, YAML or JSON); routes stay `none`.",
)
@click.pass_context
def command(context: click.Context, folder: str, template: str, source: str | None) -> None:
    """Create a working project: channels.yaml, hooks, schemas, scenarios and a CI workflow.

    DIR must be new or empty; nothing is overwritten. With --from, only channels.yaml and the language's schema are written.
    """
    if source is None:
        _create(folder, contents(template), f"a {template} project")
        _say_next(folder, "channeld run --dev")
        return
    if context.get_parameter_source("template") is not ParameterSource.DEFAULT:
        raise click.UsageError("--template and --from each begin a project; use one of them")
    text, notes = _from_asyncapi(Path(source))
    _create(folder, {"channels.yaml": text, **schema()}, f"a project from {source}")
    if notes:
        click.echo("\nNotes:\n")
        for note in notes:
            click.echo(f"  {note}")
    _say_next(folder, "channeld validate")


def _create(folder: str, files: Mapping[str, str], what: str) -> None:
    try:
        written = create(Path(folder), files)
    except InTheWay as error:
        raise click.ClickException(_refusal(error)) from None
    click.echo(f"Made {what} in {folder}:\n")
    for name in written:
        click.echo(f"  {name}")


def _say_next(folder: str, line: str) -> None:
    click.echo("\nTry next:\n")
    if folder != ".":
        click.echo(f"  cd {shlex.quote(folder)}")
    click.echo(f"  {line}")


def _from_asyncapi(path: Path) -> tuple[str, tuple[str, ...]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None
    report = Report()
    tree = parse(data, str(path), report)
    if tree is None or report.errors:
        found = [f"{one.place.line}: {one.message}" for one in report.errors[:_SHOWN]]
        raise Unreadable(
            f"{path} is not YAML or JSON:\n" + "\n".join(f"  {line}" for line in found)
        )
    try:
        made = first_file(tree.value, path.name)
    except AsyncapiRefused as error:
        shown = [f"  {problem}" for problem in error.problems[: _SHOWN * 2]]
        if len(error.problems) > len(shown):
            shown.append(f"  and {len(error.problems) - len(shown)} more")
        listed = "\n".join(shown)
        raise click.ClickException(f"{path}: nothing was written.\n{listed}") from None
    return made.text, made.notes


def _refusal(error: InTheWay) -> str:
    shown = ", ".join(error.names[:_SHOWN])
    more = len(error.names) - _SHOWN
    if more > 0:
        shown += f" and {more} more"
    return f"{error.folder} is not empty: {shown}. Nothing was written; name a new or empty folder."

"""`channeld init`: a working project in a new or empty folder."""

import shlex
from pathlib import Path
from typing import Final

import click

from channeld.dev.new_project import TEMPLATES, InTheWay, create

__all__ = ["command"]

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
def command(folder: str, template: str) -> None:
    """Create a working project: channels.yaml, hooks, schemas, scenarios and a CI workflow.

    DIR must be new or empty; nothing is overwritten.
    """
    try:
        written = create(Path(folder), template)
    except InTheWay as error:
        raise click.ClickException(_refusal(error)) from None
    click.echo(f"Made a {template} project in {folder}:\n")
    for name in written:
        click.echo(f"  {name}")
    click.echo("\nTry next:\n")
    if folder != ".":
        click.echo(f"  cd {shlex.quote(folder)}")
    click.echo("  channeld run --dev")


def _refusal(error: InTheWay) -> str:
    shown = ", ".join(error.names[:_SHOWN])
    more = len(error.names) - _SHOWN
    if more > 0:
        shown += f" and {more} more"
    return f"{error.folder} is not empty: {shown}. Nothing was written; name a new or empty folder."

"""`channeld schema`: the JSON Schema of the configuration language, for editors."""

from importlib.resources import files

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of the configuration language.

    With `# yaml-language-server: $schema=PATH` in the first line of channels.yaml, editors complete and check it.
    """
    text = files("channeld.config").joinpath("channels.schema.json").read_text(encoding="utf-8")
    click.echo(text.rstrip("\n"))

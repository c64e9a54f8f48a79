"""`channeld schema`: the JSON Schema of the configuration language, for editors."""

import click

from channeld.config.language import schema_text


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of the configuration language.

    With `# yaml-language-server: $schema=PATH` in the first line of channels.yaml, editors complete and check it.
    """
    click.echo(schema_text().rstrip("\n"))

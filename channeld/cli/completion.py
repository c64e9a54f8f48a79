"""`channeld completion SHELL`: a script that lets bash, zsh or fish complete commands, options and files."""

from typing import Final

import click
from click.shell_completion import get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")
VARIABLE: Final = "_CHANNELD_COMPLETE"
"""The variable that the script sets when it asks this program for completions."""


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a completion script for a shell.

    \b
    bash:  channeld completion bash > ~/.local/share/bash-completion/completions/channeld
    zsh:   channeld completion zsh > ~/.zfunc/_channeld   (with ~/.zfunc in fpath)
    fish:  channeld completion fish > ~/.config/fish/completions/channeld.fish
    """  # noqa: D301 - click reads the escape
    kind = get_completion_class(shell)
    if kind is None:
        raise TypeError(f"click has no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "channeld", VARIABLE).source())

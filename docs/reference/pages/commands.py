"""`cli.md`, and the table of commands: from click's own help."""

from collections.abc import Iterator

import click
from pages.markdown import MADE, fenced, table

from channeld.cli.main import COMMANDS, cli

CLI_HEAD = f"""{MADE}
# The command line

Every command reads `channels.yaml` in the current folder unless you name another file. It prints results on stdout and everything
else on stderr, and only uses colours on a terminal (without `NO_COLOR` or `TERM=dumb`).

| exit status | means |
|---|---|
| 0 | fine |
| 1 | the check failed: an invalid configuration, a failed scenario, a breaking change |
| 2 | wrong usage, a file that can't be read, or a bug of channeld |
| 130 | interrupted |
| 141 | the reader of the output went away, as in `channeld routes` into `head -1` |
"""


def help_of(command: click.Command, name: str) -> str:
    """A command's help, 100 columns wide."""
    context = click.Context(
        command,
        info_name=name,
        terminal_width=100,
        max_content_width=100,
        help_option_names=cli.context_settings["help_option_names"],
    )
    return command.get_help(context).rstrip()


def commands_below(command: click.Command, name: str) -> Iterator[str]:
    """A command's section, then those of its commands."""
    yield f"\n## {name}\n\n{fenced(help_of(command, name))}\n"
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for one in command.list_commands(context):
            below = command.get_command(context, one)
            if below is not None:
                yield from commands_below(below, f"{name} {one}")


def cli_page() -> str:
    """`cli.md`."""
    return CLI_HEAD + "".join(commands_below(cli, "channeld"))


def command_names() -> str:
    """The commands that there are."""
    rows = [
        [f"[`channeld {name}`](cli.md#channeld-{name})", line]
        for name, (_, line) in COMMANDS.items()
    ]
    return table(["command", "does"], rows)

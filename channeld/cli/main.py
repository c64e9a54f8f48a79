"""The command group, its exit codes, and the one place where an error becomes output.

Exit status: 0 fine; 1 what was checked is bad; 2 wrong usage, an unreadable file, or a bug; 130 interrupted; 141 the output
was closed. To add a command, add its row to `COMMANDS` and a module that defines `command`.
"""

import errno
import gc
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Final, NoReturn

import click

from channeld import __version__
from channeld.cli.interrupt import INTERRUPTED, leave_quietly, leave_threads, raise_again
from channeld.groups import only
from channeld.suggest import closest

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "run": ("channeld.cli.run", "Serve a configuration."),
    "validate": ("channeld.cli.validate", "Report every problem in a configuration at once."),
    "mock": ("channeld.cli.mock", "Serve a configuration for front-end work, without a back end."),
    "routes": (
        "channeld.cli.routes",
        "Show which messages exist, who may send them and who receives them.",
    ),
    "access": ("channeld.cli.access", "Show who may do what, proven from the file."),
    "trace": ("channeld.cli.trace", "Follow one handshake, or one message, step by step."),
    "test": ("channeld.cli.test", "Run scenario files against the real engine, in virtual time."),
    "export": (
        "channeld.cli.export",
        "Export AsyncAPI, JSON Schema, types, a client or a page.",
    ),
    "bench": ("channeld.cli.bench", "Load-test a server within what the configuration allows."),
    "diff": ("channeld.cli.diff", "Show what changes for clients between two configurations."),
    "connect": ("channeld.cli.connect", "Connect to a channel with an interactive client."),
    "publish": ("channeld.cli.api:publish", "Publish an event through a running server's API."),
    "presence": ("channeld.cli.api:presence", "Show who is in a room of a running server."),
    "revoke": ("channeld.cli.api:revoke", "Refuse a user's tokens, or one token, from now on."),
    "disconnect": ("channeld.cli.api:disconnect", "Close a user's connections, or a single one."),
    "token": ("channeld.cli.token", "Mint a token for development."),
    "explain": ("channeld.cli.explain", "Explain a diagnostic code such as CH310."),
    "init": ("channeld.cli.init", "Create a working project in a new folder."),
    "lsp": ("channeld.cli.lsp", "Serve editors: findings, completion and more while you type."),
    "schema": ("channeld.cli.schema", "Print the JSON Schema of the configuration language."),
    "completion": ("channeld.cli.completion", "Print a completion script for a shell."),
}
"""Name → (module whose `command` it is, or `module:name`, and the line that `--help` shows without importing the module)."""


_FILE_FIRST: Final = (
    " The file has no option: write it after the command, as in 'run channels.yaml'."
)
_OTHER_OPTIONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("--config", "--file", "-c", "-f"), _FILE_FIRST),
    **dict.fromkeys(("--port", "--host", "-p"), " Write '--bind HOST:PORT'."),
    **dict.fromkeys(("--ttl", "--expiry", "--lifetime"), " Write '--expires 1h'."),
    **dict.fromkeys(("--reload", "--hot", "--auto-reload"), " Write '--watch'."),
    **dict.fromkeys(("--json", "--output-format"), " Write '--format json'."),
    "--log-level": " Write 'log: {level: debug}' in the file.",
}
"""Options that other tools have, and what to write here instead."""


def _imported(module: str) -> ModuleType:
    """Import a command's module, with the garbage collector off: modules live to the end anyway."""
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.freeze()
        gc.enable()
        raise_again()


class _Commands(click.Group):
    """A group whose commands are imported lazily."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        module, _, name = row[0].partition(":")
        command = getattr(_imported(module), name or "command")
        if not isinstance(command, click.Command):
            raise TypeError(f"{row[0]}.command is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = closest(name, COMMANDS)
            hint = f" Did you mean '{near}'?" if near else ""
            raise click.UsageError(f"No such command '{name}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="channeld %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an internal error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """A WebSocket channel server that is declared in channels.yaml.

    Commands read channels.yaml in the current folder unless you name another file.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> NoReturn:
    """Run the command that `sys.argv` names, and end the process with its exit status."""
    _open_streams()
    status = run(sys.argv[1:])
    leave_quietly()  # Python takes a while to end
    leave_threads(status)
    sys.exit(status)


def _open_streams() -> None:
    """Open the null device for closed standard streams (`channeld run 2>&-`), so that no socket gets their descriptors."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        null = os.open(os.devnull, os.O_RDWR)
        if null != descriptor:
            os.dup2(null, descriptor)
            os.close(null)
        # Inherited by workers; never closed, as with Python's own.
        os.set_inheritable(descriptor, True)
        stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; errors become output on stderr. Never raises."""
    # `--debug` belongs to the group, but people add it at the end of the command that failed.
    debug = "--debug" in arguments or bool(os.environ.get("CHANNELD_DEBUG"))
    stdout = sys.stdout
    try:
        status = cli.main(
            [argument for argument in arguments if argument != "--debug"],
            prog_name="channeld",
            standalone_mode=False,
        )
        sys.stdout.flush()
    except BaseException as error:  # the one place where any exception becomes output and a status
        # click wraps the streams when it meets a broken pipe, and exits with 1, which would say "bad".
        broken = isinstance(error, SystemExit) and sys.stdout is not stdout
        return _status(BrokenPipeError() if broken else error, debug=debug)
    return status if isinstance(status, int) else 0


def _status(error: BaseException, *, debug: bool) -> int:
    """Show an error; returns the exit status. An exception group of one counts as that one."""
    error = only(error)
    match error:
        case KeyboardInterrupt() | click.Abort():
            status = INTERRUPTED
        case BrokenPipeError():
            _drop_output()
            status = 128 + signal.SIGPIPE
        case SystemExit(code=int(code)):
            status = code
        case click.exceptions.Exit():
            status = error.exit_code
        case click.ClickException():
            if isinstance(error, click.NoSuchOption) and not error.possibilities:
                words = error.message + _OTHER_OPTIONS.get(error.option_name, "")
                error = click.NoSuchOption(error.option_name, words, ctx=error.ctx)
            error.show()
            status = error.exit_code
        case OSError(filename=str()):
            status = _failed(f"{error.filename}: {error.strerror}")
        case UnicodeEncodeError(reason="surrogates not allowed"):
            # Python's stand-ins for bytes of the command line, or of standard input, that no text has.
            status = _failed("the arguments are not UTF-8 text")
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG):
            _drop_output()
            status = _failed(f"the output cannot be written: {error.strerror}")
        case _:
            status = _internal(error, debug=debug)
    return status


def _failed(message: str) -> int:
    click.echo(f"Error: {message}", err=True)
    return 2


def _internal(error: BaseException, *, debug: bool) -> int:
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    words = " ".join(str(error).split())[:200]
    hint = "" if debug else "; run it again with --debug for the traceback"
    return _failed(f"internal error: {type(error).__name__}: {words}{hint}")


def _drop_output() -> None:
    """Discard stdout after a broken pipe (`channeld routes | head -1`), so that Python's flush at exit does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

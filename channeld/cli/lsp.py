"""`channeld lsp`: the language server for `channels.yaml` and scenario files, which editors start."""

from importlib.util import find_spec

import click


@click.command("lsp")
@click.option(
    "--stdio", is_flag=True, hidden=True, help="What it does anyway; some editors say so."
)
def command(stdio: bool) -> int:
    """Serve editors: a language server on standard input and output.

    It reports what `channeld validate --no-hooks` would while you type, completes keys and names, explains them, and goes
    to definitions, in channels.yaml, the files it reads, and *.test.yaml. Hook modules are read, never imported. Editors
    start it themselves; docs/guides/editors.md says how. Needs pygls: pip install 'channeld[lsp]'
    """
    if find_spec("pygls") is None:
        raise click.ClickException(
            "the language server needs pygls: install it with `pip install 'channeld[lsp]'`"
        )
    from channeld.lsp.server import start  # noqa: PLC0415 - pygls may be absent

    return start()

"""`channeld export`: what a configuration promises its clients, as AsyncAPI, JSON Schema, types, a client or a page."""

import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from channeld.cli.loading import DEFAULT_FILE, check, demand_valid
from channeld.diagnostics.diagnostic import Report
from channeld.export.asyncapi import VERSIONS, Version, asyncapi
from channeld.export.contract import Contract
from channeld.export.describe import describe
from channeld.export.hooks import hooks_document
from channeld.export.jsonschema import as_json, jsonschema
from channeld.export.markdown import markdown
from channeld.export.python import python
from channeld.export.typescript import javascript, typescript
from channeld.plan.load import Checked
from channeld.schema.schemas import Schemas

__all__ = ["command"]

F = TypeVar("F", bound=Callable[..., object])


def _to_file(function: F) -> F:
    """The arguments that every target takes."""
    for add in (
        click.option(
            "--check", is_flag=True, help="Write nothing; exit 1 if the output file differs."
        ),
        click.option(
            "--output",
            "-o",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Write to this file instead of standard output.",
        ),
        click.argument("file", default=DEFAULT_FILE),
    ):
        function = add(function)
    return function


_title = click.option(
    "--title", default="WebSocket channels", show_default=True, help="Title of the document."
)


@click.group("export")
def command() -> None:
    """Export what a configuration promises its clients.

    All targets are generated from the same description, and the output is reproducible.
    """


@command.command("asyncapi")
@_to_file
@_title
@click.option("--release", default="1.0.0", show_default=True, help="Version of your API.")
@click.option("--server", default="", help="URL that clients use, such as wss://example.org.")
@click.option("--spec-version", type=click.Choice(VERSIONS), default="3.0.0", show_default=True)
def _asyncapi(  # noqa: PLR0913, PLR0917 - one an option
    file: str,
    output: Path | None,
    check: bool,
    title: str,
    release: str,
    server: str,
    spec_version: Version,
) -> None:
    """An AsyncAPI document, in JSON."""
    contract = _contract(file)
    document = asyncapi(contract, title=title, release=release, version=spec_version, server=server)
    _give(as_json(document), output, check=check)


@command.command("jsonschema")
@_to_file
@_title
def _jsonschema(file: str, output: Path | None, check: bool, title: str) -> None:
    """One JSON Schema document with every frame under `$defs`."""
    _give(as_json(jsonschema(_contract(file), title=title)), output, check=check)


@command.command("typescript")
@_to_file
@click.option("--client", is_flag=True, help="Include a typed client in the same file.")
def _typescript(file: str, output: Path | None, check: bool, client: bool) -> None:
    """TypeScript types of every frame, both ways."""
    _give(typescript(_contract(file), client=client), output, check=check)


@command.command("javascript")
@_to_file
def _javascript(file: str, output: Path | None, check: bool) -> None:
    """The client as a JavaScript module without dependencies."""
    _give(javascript(_contract(file)), output, check=check)


@command.command("python")
@_to_file
@click.option("--client", is_flag=True, help="Include a typed client in the same file.")
def _python(file: str, output: Path | None, check: bool, client: bool) -> None:
    """Python TypedDicts of every frame, both ways."""
    _give(python(_contract(file), client=client), output, check=check)


@command.command("markdown")
@_to_file
@_title
def _markdown(file: str, output: Path | None, check: bool, title: str) -> None:
    """A page for people."""
    _give(markdown(_contract(file), title=title), output, check=check)


@command.command("hooks")
@_to_file
@click.option("--title", default="Hooks", show_default=True, help="Title of the document.")
@click.option("--release", default="1.0.0", show_default=True, help="Version of your API.")
def _hooks(file: str, output: Path | None, check: bool, title: str, release: str) -> None:
    """An OpenAPI document of the hooks that backends answer."""
    checked = _valid(file)
    assert checked.config is not None  # noqa: S101 - demanded
    document = hooks_document(
        _contract(file), checked.config, checked.sources, title=title, release=release
    )
    _give(as_json(document), output, check=check)


def _valid(file: str) -> Checked:
    checked = check(file, import_hooks=False)
    demand_valid(checked)
    return checked


def _contract(file: str) -> Contract:
    checked = _valid(file)
    assert checked.config is not None  # noqa: S101 - demanded
    return describe(checked.config, Schemas(checked.config, checked.sources, Report()))


def _give(text: str, output: Path | None, *, check: bool) -> None:
    if output is None:
        if check:
            raise click.UsageError("--check compares with a file: name it with --output")
        click.echo(text, nl=False)
        return
    if not check:
        output.write_text(text, "utf-8")
        click.echo(f"wrote {output}", err=True)
        return
    there = output.read_text("utf-8") if output.exists() else ""
    if there == text:
        click.echo(f"{output} is up to date", err=True)
        return
    different = difflib.unified_diff(
        there.splitlines(keepends=True), text.splitlines(keepends=True), str(output), "exported"
    )
    sys.stdout.writelines(different)
    raise click.ClickException(f"{output} is not what the configuration exports")

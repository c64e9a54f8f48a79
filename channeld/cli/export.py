"""`channeld export`: exports the contract with clients as AsyncAPI, JSON Schema, types, a client or a page."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeAlias

import click

from channeld.cli.loading import DEFAULT_FILE, demand_valid
from channeld.cli.output import compare
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Report
from channeld.export.asyncapi import VERSIONS, Version, asyncapi
from channeld.export.contract import Contract
from channeld.export.describe import describe
from channeld.export.jsonschema import as_json, jsonschema
from channeld.export.markdown import markdown
from channeld.export.openapi import hooks_document
from channeld.export.python import python
from channeld.export.typescript import javascript, typescript
from channeld.plan.load import check as check_file
from channeld.plan.plan import Plan
from channeld.schema.schemas import Schemas

_Option: TypeAlias = Callable[[Callable[..., object]], Callable[..., object]]


@click.group("export")
def command() -> None:
    """Export what a configuration promises its clients.

    All targets are generated from the same description, and the output is reproducible.
    """


def _target(name: str, *options: _Option) -> Callable[[Callable[..., str]], None]:
    """Turn a function that makes a configuration's text into a subcommand with the common arguments."""

    def add(write: Callable[..., str]) -> None:
        @wraps(write)
        def target(file: str, output: Path | None, check: bool, **given: object) -> int:
            checked = check_file(file, import_hooks=False)
            plan = demand_valid(checked)
            return _give(write(plan, checked.sources, **given), output, check=check)

        function: Callable[..., object] = target
        added: tuple[_Option, ...] = (*reversed(options), *_TO_FILE)
        for option in added:
            function = option(function)
        command.command(name)(function)

    return add


_TO_FILE = (
    click.option("--check", is_flag=True, help="Write nothing; exit 1 if the output file differs."),
    click.option(
        "--output",
        "-o",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write to this file instead of standard output.",
    ),
    click.argument("file", default=DEFAULT_FILE),
)
_title = click.option(
    "--title", default="WebSocket channels", show_default=True, help="Title of the document."
)
_hooks_title = click.option(
    "--title", default="Hooks", show_default=True, help="Title of the document."
)
_release = click.option(
    "--release", default="1.0.0", show_default=True, help="Version of your API."
)
_server = click.option(
    "--server", default="", help="URL that clients use, such as wss://example.org."
)
_version = click.option(
    "--spec-version", type=click.Choice(VERSIONS), default="3.0.0", show_default=True
)
_client = click.option("--client", is_flag=True, help="Include a typed client in the same file.")


@_target("asyncapi", _title, _release, _server, _version)
def _asyncapi(
    plan: Plan, sources: Sources, *, title: str, release: str, server: str, spec_version: Version
) -> str:
    """An AsyncAPI document, in JSON."""
    contract = _contract(plan, sources)
    return as_json(
        asyncapi(contract, title=title, release=release, version=spec_version, server=server)
    )


@_target("jsonschema", _title)
def _jsonschema(plan: Plan, sources: Sources, *, title: str) -> str:
    """One JSON Schema document with every frame under `$defs`."""
    return as_json(jsonschema(_contract(plan, sources), title=title))


@_target("typescript", _client)
def _typescript(plan: Plan, sources: Sources, *, client: bool) -> str:
    """TypeScript types of every frame, in both directions."""
    return typescript(_contract(plan, sources), client=client)


@_target("javascript")
def _javascript(plan: Plan, sources: Sources) -> str:
    """The client as a JavaScript module without dependencies."""
    return javascript(_contract(plan, sources))


@_target("python", _client)
def _python(plan: Plan, sources: Sources, *, client: bool) -> str:
    """Python TypedDicts of every frame, in both directions."""
    return python(_contract(plan, sources), client=client)


@_target("markdown", _title)
def _markdown(plan: Plan, sources: Sources, *, title: str) -> str:
    """A documentation page in Markdown."""
    return markdown(_contract(plan, sources), title=title)


@_target("hooks", _hooks_title, _release)
def _hooks(plan: Plan, sources: Sources, *, title: str, release: str) -> str:
    """An OpenAPI document of the hooks that backends answer."""
    contract = _contract(plan, sources)
    return as_json(hooks_document(contract, plan.config, sources, title=title, release=release))


def _contract(plan: Plan, sources: Sources) -> Contract:
    return describe(plan.config, Schemas(plan.config, sources, Report()))


def _give(text: str, output: Path | None, *, check: bool) -> int:
    if output is None and check:
        raise click.UsageError("--check compares with a file: name it with --output")
    if output is None:
        click.echo(text, nl=False)
    elif check:
        there = output.read_text("utf-8") if output.exists() else ""
        return compare(output, there, text, f"{output} is not what the configuration exports")
    else:
        output.write_text(text, "utf-8")
        click.echo(f"wrote {output}", err=True)
    return 0

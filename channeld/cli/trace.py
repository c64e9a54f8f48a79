"""`channeld trace`: one handshake or one message, step by step, without a server."""

import json
import sys
import time
from collections.abc import Iterator, Sequence

import attrs
import click
import orjson

from channeld.cli.loading import DEFAULT_FILE, demand_valid, environ_of
from channeld.cli.output import JsonCommand
from channeld.cli.token import claim_option
from channeld.plan.load import ValidConfig, check
from channeld.protocol.frames import Json
from channeld.scenarios.trace import Step, Trace, TracedDelivery, Visitor, trace
from channeld.telemetry import silenced

_MARKS = {"ok": "✓", "refused": "✗", "skipped": "-"}


@click.command("trace", cls=JsonCommand, empty={"steps": []})
@click.argument("path")
@click.argument("frame", required=False)
@click.option(
    "--config",
    "file",
    default=DEFAULT_FILE,
    type=click.Path(),
    metavar="FILE",
    help="Configuration.",
    show_default=True,
)
@click.option("--token", metavar="TOKEN", help="Connect with this token.")
@click.option("--user", metavar="USER", help="Connect as this user, without a token.")
@claim_option("A claim of that user; repeatable.")
@click.option("--no-hooks", is_flag=True, help="Import and run no hooks: all of them agree.")
@click.option("--format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(  # noqa: PLR0913 - one for each option
    *,
    path: str,
    frame: str | None,
    file: str,
    token: str | None,
    user: str | None,
    claims: Sequence[tuple[str, Json]],
    no_hooks: bool,
    format: str,
) -> int:
    """Follow one handshake, or one message, step by step.

    PATH alone is the handshake; FRAME is a message as JSON (- reads it from standard input), sent by the accepted client.
    No server is needed: the engine runs in memory. Exit 1 when it is refused.
    """
    if frame == file == "-":
        raise click.UsageError("only one of FRAME and --config can be standard input")
    if token is not None and user is not None:
        raise click.UsageError("--token and --user both identify the client: give only one")
    if claims and user is None:
        raise click.UsageError("--claim needs --user USER")
    if not path.startswith("/"):
        raise click.BadParameter(f"'{path}' does not begin with '/'", param_hint="PATH")
    checked = check(file, import_hooks=not no_hooks, environ=environ_of(file))
    valid = ValidConfig(demand_valid(checked), checked.sources)
    visitor = Visitor(user=user, claims=dict(claims), token=token)
    if frame == "-":
        frame = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    with silenced():  # the steps say the same, without sensitive values
        found = trace(valid, path, frame, visitor, wall=time.time(), run_hooks=not no_hooks)
    if format == "json":
        click.echo(json.dumps(document(found), indent=2))
    else:
        click.echo("\n".join(_text(found, is_message=frame is not None)))
    return 0 if found.refused is None else 1


def document(found: Trace) -> dict[str, Json]:
    """A trace as the JSON of `--format json`."""
    return {
        "version": 1,
        "outcome": "delivered" if found.refused is None else "refused",
        "refused_by": None if found.refused is None else found.refused.name,
        "steps": [attrs.asdict(step) for step in found.steps],
        "deliveries": [attrs.asdict(delivery) for delivery in found.deliveries],
    }


def _text(found: Trace, *, is_message: bool) -> Iterator[str]:
    for step in found.steps:
        yield _line(step)
        yield from (f"             {detail}" for detail in step.details)
    for delivery in found.deliveries:
        yield from _delivered(delivery)
    refused = found.refused
    if refused is None:
        yield "delivered" if is_message else "accepted"
    else:
        yield f"refused by {refused.name}: {refused.words}"


def _line(step: Step) -> str:
    place = f"  ({step.place})" if step.place else ""
    return f"{_MARKS[step.outcome]} {step.name:10} {step.words}{place}"


def _delivered(delivery: TracedDelivery) -> Iterator[str]:
    by = f", published by hook `{delivery.by}`" if delivery.by else ""
    yield f"→ to {delivery.to}{by}"
    yield f"    {orjson.dumps(delivery.frame).decode()}"

"""`channeld access`: who may do what, derived from the file, for reviews, machines, or one user."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
import click
import orjson

from channeld.cli.loading import DEFAULT_FILE, demand_valid
from channeld.cli.output import JsonCommand, Unreadable, compare
from channeld.cli.token import claim_option
from channeld.dev.rights import (
    TITLES,
    ChannelRights,
    Person,
    Right,
    right_words,
    rights,
    rights_of,
)
from channeld.diagnostics.render.markdown import cell, code, table
from channeld.plan.load import check
from channeld.protocol.frames import Json

_MARKS: Final = {"yes": "yes", "no": "no", "depends": "depends", None: ""}


@click.command("access", cls=JsonCommand, empty={"channels": []})
@click.argument("file", default=DEFAULT_FILE, type=click.Path())
@click.option(
    "--format", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True
)
@click.option(
    "--check",
    "checked",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Compare with a file written by --format markdown (or json): exit 1 if it differs.",
)
@click.option("--as", "user", metavar="USER", help="For one user.")
@click.option("--anonymous", is_flag=True, help="For a client without a token.")
@claim_option("A claim of that user; repeatable.")
def command(
    *,
    file: str,
    format: str,
    checked: Path | None,
    user: str | None,
    anonymous: bool,
    claims: Sequence[tuple[str, Json]],
) -> int:
    """Show who may connect, send, join, hear and read what.

    Everything is derived from the file; what a hook decides is marked as such.
    """
    found = _found(file, user, dict(claims), anonymous=anonymous)
    if checked is not None:
        return _compare(checked, _json(found) if checked.suffix == ".json" else _markdown(found))
    if format == "json":
        click.echo(_json(found), nl=False)
    elif format == "markdown":
        click.echo(_markdown(found), nl=False)
    else:
        click.echo("\n".join(_text(found)))
    return 0


def _found(
    file: str, user: str | None, claims: dict[str, Json], *, anonymous: bool
) -> list[ChannelRights]:
    if anonymous and (user is not None or claims):
        raise click.UsageError("--anonymous is for a client without a user and claims")
    if claims and user is None:
        raise click.UsageError("--claim needs --as USER")
    plan = demand_valid(check(file, import_hooks=False))
    if user is None and not anonymous:
        return rights(plan.config)
    return rights_of(plan, Person(user=user, claims=claims))


def _compare(file: Path, text: str) -> int:
    try:
        there = file.read_text("utf-8")
    except OSError as error:
        raise Unreadable(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{file}: it is not UTF-8 text") from None
    refusal = f"{file} is out of date: review the change of rights and write the file again"
    return compare(file, there, text, refusal)


def _json(found: Sequence[ChannelRights]) -> str:
    document = {"version": 1, "channels": [_channel_json(one) for one in found]}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def _channel_json(channel: ChannelRights) -> dict[str, object]:
    return {
        "channel": channel.channel,
        "path": channel.path,
        "transports": channel.transports,
        "rights": [_right_json(right) for right in channel.rights],
    }


def _right_json(right: Right) -> dict[str, object]:
    fields = attrs.asdict(right)
    if right.verdict is None:
        del fields["verdict"], fields["why"]
    return fields


def _markdown(found: Sequence[ChannelRights]) -> str:
    lines = ["# Who may do what", ""]
    for channel in found:
        lines += [f"## {code(channel.channel)}: {code(channel.path)}", ""]
        judged = any(right.verdict is not None for right in channel.rights)
        head = ["", "what", "who", "requires", "comes of it", *(["verdict"] if judged else [])]
        rows = [
            [*_cells(right), *([cell(_verdict(right))] if judged else [])]
            for right in channel.rights
        ]
        lines += [table(head, rows), ""]
    return "\n".join(lines)


def _cells(right: Right) -> list[str]:
    hooks = ", ".join(map(code, right.hooks))
    asked = [" or ".join(map(code, right.requires)), f"hook {hooks} agrees" if hooks else ""]
    return [
        TITLES[right.what],
        code(right.of),
        cell(right.who),
        " and ".join(filter(None, asked)),
        cell("; ".join(right.effect)),
    ]


def _verdict(right: Right) -> str:
    words = _MARKS[right.verdict]
    return f"{words}: {right.why}" if right.why else words


def _text(found: Sequence[ChannelRights]) -> Iterator[str]:
    for number, channel in enumerate(found):
        if number:
            yield ""
        yield f"{channel.channel}  {channel.path}  ({', '.join(channel.transports)})"
        for right in channel.rights:
            yield "  " + _line(right)


def _line(right: Right) -> str:
    words = f"{TITLES[right.what]:18} {right.of or '-':20} {right_words(right)}"
    why = f" ({right.why})" if right.why else ""
    return f"{_MARKS[right.verdict]:9}{words}{why}" if right.verdict is not None else words

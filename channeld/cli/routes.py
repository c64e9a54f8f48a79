"""`channeld routes`: a table of channel, path, auth, type, who may send and who receives."""

import shutil
import sys
from collections.abc import Sequence

import attrs
import click
import orjson

from channeld.cli.loading import DEFAULT_FILE, checked_config
from channeld.cli.output import JsonCommand
from channeld.dev.routes_table import Row, rows

_HEAD = ("channel", "path", "auth", "type", "who may send", "who receives")
_NARROW = 72
"""Width below which six cells in a row would break words; lines that the terminal wraps remain readable."""


@click.command("routes", cls=JsonCommand, empty={"routes": []})
@click.argument("file", default=DEFAULT_FILE, type=click.Path())
@click.option("--format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(file: str, format: str) -> None:
    """Show which messages exist, who may send them and who receives them."""
    found = list(rows(checked_config(file)))
    if format == "json":
        document = {"version": 1, "routes": [attrs.asdict(row) for row in found]}
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    elif sys.stdout.isatty() and shutil.get_terminal_size().columns >= _NARROW:
        _show_table(found)
    else:
        for line in _aligned([_HEAD, *map(_cells, found)]):
            click.echo(line)


def _cells(row: Row) -> tuple[str, ...]:
    arrow = "" if row.direction == "in" else "← "
    receivers = "; ".join(row.receivers)
    return (row.channel, row.path, row.auth, arrow + row.type, row.senders, receivers)


def _aligned(table: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for cells in table:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append("  ".join(padded).rstrip())
    return lines


def _show_table(found: Sequence[Row]) -> None:
    from rich import box  # noqa: PLC0415 - 40 ms, for a terminal only
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for title in _HEAD:
        table.add_column(title, overflow="fold")
    above: tuple[str, ...] = ()
    for row in found:
        cells = _cells(row)
        # A channel's own columns are printed once, which sets channels apart.
        shown = ("", "", "", *cells[3:]) if cells[:3] == above else cells
        above = cells[:3]
        table.add_row(*map(Text, shown))
    Console().print(table)

"""`channeld explain CODE`: the long text of a diagnostic, with a wrong and a right example."""

import shutil
import textwrap
from collections.abc import Iterator

import click

from channeld.diagnostics.catalogue import CATALOGUE, Entry
from channeld.diagnostics.diagnostic import Severity
from channeld.suggest import did_you_mean

__all__ = ["command"]

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}


@click.command("explain")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Explain a diagnostic code such as CH310, or list all of them."""
    if code is None:
        for entry in sorted(CATALOGUE.values(), key=lambda entry: entry.code):
            severity = click.style(f"{entry.severity:<7}", fg=_COLOURS[entry.severity])
            click.echo(f"{entry.code}  {severity}  {entry.title}")
        return
    found = CATALOGUE.get(code.upper())
    if found is None:
        hint = did_you_mean(code.upper(), CATALOGUE, "`channeld explain` lists them all")
        raise click.UsageError(f"there is no code {code}; {hint}")
    click.echo("\n".join(_lines(found, min(shutil.get_terminal_size().columns, 100))))


def _lines(entry: Entry, width: int) -> Iterator[str]:
    severity = click.style(str(entry.severity), fg=_COLOURS[entry.severity])
    yield f"{click.style(entry.code, bold=True)} {entry.name} ({severity})"
    yield ""
    yield click.style(entry.title, bold=True)
    yield ""
    yield from _wrapped(entry.explanation, width)
    for title, example in (("Wrong:", entry.wrong), ("Right:", entry.right)):
        if example:
            yield ""
            yield click.style(title, bold=True)
            yield textwrap.indent(example.strip("\n"), "    ")


def _wrapped(markdown: str, width: int) -> Iterator[str]:
    """Paragraphs and list entries wrapped; what is indented or fenced stays as it is."""
    fenced = False
    for at, block in enumerate(markdown.strip().split("\n\n")):
        if at:
            yield ""
        fences = block.count("```")
        if fenced or fences or block.startswith("    "):
            yield block
            fenced ^= fences % 2 == 1
        elif block.startswith(("- ", "* ")):
            yield from _wrapped_list(block, width)
        else:
            yield textwrap.fill(" ".join(block.split()), width, break_on_hyphens=False)


def _wrapped_list(block: str, width: int) -> Iterator[str]:
    entries: list[str] = []
    for line in block.splitlines():
        if line.startswith(("- ", "* ")) or not entries:
            entries.append(line)
        else:
            entries[-1] += " " + line.strip()
    for entry in entries:
        yield textwrap.fill(entry, width, subsequent_indent="  ", break_on_hyphens=False)

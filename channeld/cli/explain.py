"""`channeld explain CODE`: the long text of a diagnostic, with a wrong and a right example."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping

import click

from channeld.config.language import joined
from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry
from channeld.diagnostics.diagnostic import Severity
from channeld.suggest import did_you_mean

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
    by_name = {entry.name: entry for entry in CATALOGUE.values()} if "-" in code else {}
    found = CATALOGUE.get(code.upper()) or by_name.get(code.lower())
    if found is None:
        raise click.UsageError(f"there is no code {code}; {_hint(code.upper(), by_name)}")
    click.echo("\n".join(_lines(found, min(shutil.get_terminal_size().columns, 100))))


def _hint(code: str, by_name: Mapping[str, CatalogueEntry]) -> str:
    """Suggest what was meant: a name, or a code with one character missing, extra or misplaced."""
    otherwise = "`channeld explain` lists them all"
    if by_name:
        return did_you_mean(code.lower(), by_name, otherwise)
    near = sorted(
        (known for known in CATALOGUE if _is_slip(code, known)),
        key=lambda known: not known.startswith(code),
    )
    return f"did you mean {joined([f'`{one}`' for one in near[:4]])}?" if near else otherwise


def _is_slip(code: str, known: str) -> bool:
    if len(code) == len(known):
        return code != known and any(
            code == known[:i] + known[i + 1] + known[i] + known[i + 2 :]
            for i in range(len(known) - 1)
        )
    short, long = sorted((code, known), key=len)
    return len(long) - len(short) == 1 and any(
        short == long[:i] + long[i + 1 :] for i in range(len(long))
    )


def _lines(entry: CatalogueEntry, width: int) -> Iterator[str]:
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
    """Wrap paragraphs and list entries; indented and fenced text is unchanged."""
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

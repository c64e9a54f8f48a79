"""`twelve-mistakes.md` and its picture: what `channeld validate` says of one file."""

import io
import re

from pages.markdown import MADE, ROOT, fenced
from rich.console import Console
from rich.text import Text

from channeld.diagnostics.render import render_text
from channeld.plan.load import check

MISTAKES = "docs/reference/twelve-mistakes.yaml"

TWELVE_HEAD = f"""{MADE}
# Twelve mistakes, found before the server starts

This configuration is wrong in twelve places. `channeld validate` finds all of them at once, in one run of well under a
second. None of the twelve findings is just a consequence of another:

"""


def mistakes_report(*, colour: bool) -> str:
    """What `channeld validate` says of the configuration with twelve mistakes."""
    checked = check(str(ROOT / MISTAKES), environ={})
    text = render_text(checked.report, checked.sources, colour=colour)
    short = text.replace(str(ROOT / MISTAKES), "channels.yaml")
    return re.sub(r"looked in \S+ and", "looked in ./ and", short)


def twelve_page() -> str:
    """`twelve-mistakes.md`."""
    config = (ROOT / MISTAKES).read_text(encoding="utf-8")
    return (
        TWELVE_HEAD
        + fenced(config, "yaml bad")
        + "\n\n"
        + "![The terminal with the twelve findings](twelve-mistakes.svg)\n\nThe same as text:\n\n"
        + fenced(mistakes_report(colour=False))
        + "\n\nEach code is explained in [Diagnostics](diagnostics.md), and by `channeld explain CODE`.\n"
    )


SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<!-- Made by docs/reference/generate.py; do not edit. -->
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px; \
line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def twelve_picture() -> str:
    """The same in a terminal's colours."""
    report = Text.from_ansi(mistakes_report(colour=True))
    return terminal_picture("channeld validate", "channeld validate", report, "twelve")


def terminal_picture(title: str, command: str, said: Text, name: str) -> str:
    """A terminal with a command and what it said, as an SVG that loads nothing from anywhere."""
    console = Console(
        record=True,
        width=100,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(Text(f"$ {command}"))
    console.print(said)
    svg = console.export_svg(title=title, code_format=SVG, unique_id=name)
    return re.sub(r"[ \t]+\n", "\n", svg)

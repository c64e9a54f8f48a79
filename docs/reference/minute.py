"""Draws the first minute as a moving picture, from what the real commands print.

    python docs/reference/minute.py          writes docs/start/minute.svg

Not part of `generate.py`: links, tokens and times differ at each run. The picture loads nothing, and stands still, on its last
scene, for people who want less motion.
"""

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import attrs
from rich.style import Style
from rich.text import Text

ROOT = Path(__file__).parents[2]
COLUMNS, ROWS = 92, 20
MADE_UP = "only-for-this-picture-0123456789abcdef"
LINE, WIDTH, LEFT, TOP = 19, 8.4, 18, 52
COLOURS = {
    1: "red",
    2: "green",
    3: "yellow",
    4: "blue",
    5: "magenta",
    6: "cyan",
    8: "bright_black",
    9: "red",
    10: "green",
    11: "yellow",
    12: "blue",
    13: "magenta",
    14: "cyan",
}
LINK = re.compile(r"(http://\S*?/go/)\S+|([?#&](?:token|key)=)\S+")


@attrs.frozen
class Scene:
    """A command, what it printed, and how long people look at it."""

    command: str
    lines: Sequence[Text]
    seconds: float


@contextlib.contextmanager
def on_terminal(arguments: Sequence[str], folder: Path) -> Iterator[int]:
    """A command on a terminal of its own: the other end of that."""
    ours, theirs = pty.openpty()
    environ = {
        **os.environ,
        "COLUMNS": str(COLUMNS),
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "CHANNELD_JWT_SECRET": MADE_UP,
    }
    command = [sys.executable, "-m", "channeld", *arguments]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        yield ours
    finally:
        process.terminate()
        process.wait()
        os.close(ours)


def printed(terminal: int, until: str, seconds: float = 30.0) -> str:
    """What comes until a text has come, and half a second more."""
    shown, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        ready, _, _ = select.select([terminal], [], [], 0.1)
        if ready:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
        if until.encode() in shown and end - time.monotonic() > 0.5:
            end = time.monotonic() + 0.5
    return shown.decode()


def lines_of(text: str) -> list[Text]:
    """Lines with their colours, without what is different each time or too long."""
    kept = []
    for line in text.replace("\r", "").split("\n"):
        short = LINK.sub(lambda found: f"{found[1] or found[2]}…", line)
        styled = Text.from_ansi(short)
        if '"event"' not in styled.plain and not re.match(r"\d{4}-\d\d-\d\d", styled.plain):
            styled.truncate(COLUMNS, overflow="ellipsis")
            kept.append(styled)
    while kept and not kept[-1].plain.strip():
        kept.pop()
    # As a terminal of that height shows it.
    return kept if len(kept) < ROWS else [Text("…"), *kept[2 - ROWS :]]


def scenes() -> list[Scene]:
    """The minute, tried in a copy of the shipped configuration."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "channels.yaml", folder)
        for part in ("examples", "schemas"):
            shutil.copytree(ROOT / part, folder / part)
        with on_terminal(["run", "--dev"], folder) as server:
            banner = printed(server, "Ctrl-C stops")
            said = '{"type":"message","text":"hello"}'
            talk = [
                "connect",
                "/rooms/general",
                "--user",
                "ann",
                "--send",
                said,
                "--wait",
                "message",
            ]
            with on_terminal(talk, folder) as terminal:
                heard = printed(terminal, '"pos"', 15)
        config = folder / "channels.yaml"
        config.write_text(config.read_text().replace("route: room\n", "rout: room\n", 1))
        with on_terminal(["validate"], folder) as terminal:
            found = printed(terminal, "channels.yaml\r\n\r\n", 15)
    return [
        Scene("channeld validate        # a typo in channels.yaml", lines_of(found), 6.0),
        Scene("make run", lines_of(banner), 7.0),
        Scene(f"channeld connect /rooms/general --user ann --send '{said}'", lines_of(heard), 6.0),
    ]


def svg_line(line: Text) -> str:
    """A line as spans of one colour each."""
    parts = []
    for piece in line.divide([at for span in line.spans for at in (span.start, span.end)]):
        style = Style.combine(
            [Style(), *(one.style for one in piece.spans if isinstance(one.style, Style))]
        )
        number = style.color.number if style.color is not None else None
        named = f" class='{COLOURS[number]}'" if number in COLOURS else ""
        bold = " font-weight='bold'" if style.bold else ""
        text = escape(piece.plain)
        parts.append(f"<tspan{named}{bold}>{text}</tspan>" if named or bold else text)
    return "".join(parts)


def drawn(found: Sequence[Scene]) -> str:
    """The picture."""
    total = sum(scene.seconds for scene in found)
    rules, groups, at = [], [], 0.0
    for number, scene in enumerate(found):
        begin, end = 100 * at / total, 100 * (at + scene.seconds) / total
        hidden = f"0%,{begin:.2f}%{{visibility:hidden}}" if number else "0%{visibility:visible}"
        rules.append(
            f"@keyframes s{number}{{{hidden}{begin + 0.01:.2f}%,{end - 0.01:.2f}%{{visibility:visible}}{end:.2f}%,100%{{visibility:hidden}}}}"
            f"#s{number}{{animation:s{number} {total}s step-end infinite}}"
        )
        rows = [
            f"<tspan class='prompt'>$</tspan> <tspan font-weight='bold'>{escape(scene.command)}</tspan>"
        ]
        rows += map(svg_line, scene.lines)
        texts = []
        for row, text in enumerate(rows):
            shown = begin + (1.2 + 0.09 * row) * 100 / total if row else begin
            name = f"s{number}r{row}"
            if row:
                rules.append(
                    f"@keyframes {name}{{0%,{shown:.2f}%{{opacity:0}}{shown + 0.01:.2f}%,100%{{opacity:1}}}}"
                    f"#{name}{{animation:{name} {total}s step-end infinite}}"
                )
            texts.append(
                f"<text id='{name}' x='{LEFT}' y='{TOP + LINE * row}' xml:space='preserve'>{text}</text>"
            )
        last = "" if number == len(found) - 1 else " visibility='hidden'"
        groups.append(f"<g id='s{number}'{last}>{''.join(texts)}</g>")
        at += scene.seconds
    width, height = round(LEFT * 2 + WIDTH * COLUMNS), TOP + LINE * ROWS
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="A terminal: channeld validate finds a typo, make run serves a chat, channeld connect says hello">
<!-- Made by docs/reference/minute.py from what the commands print; do not edit. -->
<style>
text{{font:14px "DejaVu Sans Mono",Menlo,Consolas,monospace;fill:#d7dfdc}}
.prompt{{fill:#7cc4bc}}.red{{fill:#f08b86}}.green{{fill:#7fcf9d}}.yellow{{fill:#e3c878}}.blue{{fill:#8ab4f8}}.cyan{{fill:#7cc4bc}}.magenta{{fill:#d3a5e0}}.bright_black{{fill:#8b9794}}
@media (prefers-reduced-motion:no-preference){{{"".join(rules)}}}
</style>
<rect width="{width}" height="{height}" rx="10" fill="#151918"/>
<circle cx="22" cy="20" r="6" fill="#f08b86"/><circle cx="42" cy="20" r="6" fill="#e3c878"/><circle cx="62" cy="20" r="6" fill="#7fcf9d"/>
{chr(10).join(groups)}
</svg>
"""


if __name__ == "__main__":
    (ROOT / "docs/start/minute.svg").write_text(drawn(scenes()), encoding="utf-8")

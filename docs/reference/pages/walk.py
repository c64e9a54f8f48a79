"""The pictures of "From mistake to merge": what two commands say of the file that the page ends with."""

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path

from pages.markdown import HERE
from pages.mistakes import terminal_picture
from rich.text import Text

from channeld.cli.main import run

PAGE = HERE.parent / "guides/from-mistake-to-merge.md"
SECRET = "for-tests-only-0123456789abcdef-0123"  # noqa: S105 - nothing that it signs is accepted anywhere
FRAME = '{"type": "warn", "to": "bob", "text": "No!"}'


def access_picture() -> str:
    """The access matrix, with the requirement that was forgotten first."""
    said = Text(_said("access", "new.yaml"))
    said.highlight_regex(r"requires [^ ]+", "bold green")
    said.highlight_regex(r"(?m)^room .*", "bold")
    return terminal_picture("who may do what", "channeld access new.yaml", said, "access")


def trace_picture() -> str:
    """A message that is refused, step by step."""
    arguments = ("--config", "new.yaml", "--user", "ann", "--claim", "role=member")
    said = Text(_said("trace", "/rooms/a", FRAME, *arguments))
    said.highlight_regex(r"(?m)^✓ \w+", "green")
    said.highlight_regex(r"(?m)^✗ .*|^refused by .*", "bold red")
    said.highlight_regex(r"\(new\.yaml:\d+\)", "bright_black")
    command = f"channeld trace /rooms/a '{FRAME}' --config new.yaml --user ann --claim role=member"
    return terminal_picture("one message, step by step", command, said, "trace")


def _said(*arguments: str) -> str:
    """What a command says in a folder with the page's valid file."""
    states = re.findall(
        r"^```yaml new\.yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    before, said = Path.cwd(), io.StringIO()
    os.environ.setdefault("CHANNELD_JWT_SECRET", SECRET)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "new.yaml").write_text(states[1], "utf-8")
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(said):
                run([*arguments])
        finally:
            os.chdir(before)
    return said.getvalue().rstrip()

"""What newcomers write: configurations with a mistake, by theme, each with the findings that it gives.

A file of `newcomers/` holds cases: `=== NAME`, or `=== NAME: 2` where there are two mistakes, then the configuration, ten
dashes, and a line or two a finding: code, place and message, then the words under the caret and the help. A first line
`@anon` stands for the head of a configuration with one channel that everybody may use; the others are in `HEADS`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from channeld.diagnostics.diagnostic import Diagnostic, Report
from channeld.plan.load import check
from tests.config.golden import DIVIDER, ENVIRONMENT, inside

NEWCOMERS: Final = Path(__file__).parent / "newcomers"
HOOKS: Final = """\
def auth(request): ...
def say(ctx, message): ...
def connect(ctx): ...
"""
_JWT: Final = """\
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: ${CHANNELD_JWT_SECRET}
    audience: chat
"""
_CHANNEL: Final = """\
channels:
  room:
    description: A room.
"""
_ROOM: Final = """\
    path: /rooms/{room_id}
    auth: WHO
    rooms: "{params.room_id}"
"""
HEADS: Final = {
    "@anon": f"channeld: 1\n{_CHANNEL}{_ROOM.replace('WHO', 'none')}",
    "@jwt": f"channeld: 1\n{_JWT}{_CHANNEL}{_ROOM.replace('WHO', 'session')}",
    "@channel": f"channeld: 1\n{_CHANNEL}",
    "@channels": f"{_CHANNEL}{_ROOM.replace('WHO', 'none')}",
    "@jwt-channel": f"channeld: 1\n{_JWT}{_CHANNEL}",
    "@say": "    messages:\n      say: {schema: true, route: room}\n",
    "@named": f"{_CHANNEL}{_ROOM.replace('WHO', 'session')}    messages:\n      say: {{schema: true, route: room}}\n",
}


@attrs.frozen
class NewcomerCase:
    """A configuration, how many mistakes are in it, and what is expected to be said."""

    name: str
    mistakes: int
    text: str
    expected: str


def newcomer_cases(file: Path) -> Iterator[NewcomerCase]:
    """The cases of a file, in its order."""
    for part in file.read_text().split("=== ")[1:]:
        head, _, rest = part.partition("\n")
        name, _, mistakes = head.partition(": ")
        text, _, expected = rest.partition(DIVIDER)
        yield NewcomerCase(name, int(mistakes or 1), text, expected)


def findings(case: NewcomerCase, folder: Path) -> Report:
    """What is found in the configuration, in a folder of its own."""
    text = re.sub(r"^(@[a-z-]+)\n", lambda m: HEADS[m[1]], case.text, flags=re.MULTILINE)
    folder.mkdir(exist_ok=True)
    (folder / "chat.py").write_text(HOOKS)
    (folder / "channels.yaml").write_text(text)
    with inside(folder):
        return check("channels.yaml", environ=ENVIRONMENT, fresh={"chat"}).report


def said(report: Report) -> str:
    """The findings as a case holds them; what is only information is left out."""
    return "".join(map(_said, (d for d in report.sorted() if d.severity != "info")))


def _said(finding: Diagnostic) -> str:
    place = f"{finding.place.line}:{finding.place.column}"
    lines = [f"{finding.severity} {finding.code} {place} {finding.message}"]
    lines += [f"  {text}" for text in (finding.label, finding.help) if text]
    return "\n".join(lines) + "\n"

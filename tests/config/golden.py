"""Cases of the catalogue: an entry's example as a file, checked as the commands check it, and the text that comes of it.

Each code has two cases, the wrong example and the right one (`.right.txt`). A case is the example, a line of ten dashes,
and the report. An example's first line may name a further file: the text of the hook module (`# chat.py: …`, its lines
divided by `|`), an included file that the example itself is (`# rooms.yaml:`), or one that can't be read
(`# secret.yaml:`). The examples of CH8xx are scenario files beside a small configuration. What `channeld diff` says has
its cases in `tests/diff`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attrs

from channeld.config.load import MAX_BYTES
from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry
from channeld.diagnostics.diagnostic import Report
from channeld.diagnostics.render import render_text
from channeld.diagnostics.render.texts import Texts
from channeld.plan.load import check
from channeld.scenarios.suite import Options, Runs, read_file

CASES: Final = Path(__file__).parent / "cases"
DIVIDER: Final = "----------\n"
ENVIRONMENT: Final = {
    "CHANNELD_SECRET": "a secret of more than thirty-two bytes",
    "CHANNELD_JWT_SECRET": "a secret of more than thirty-two bytes",
    "CHANNELD_API_KEY": "an API key of more than thirty-two characters",
    "SENSOR_TOKEN": "a-token-nobody-can-guess",
}
TOKENS: Final = "- {token: a-long-token-of-32-characters, user: ann}\n"
INCLUDING: Final = """\
channeld: 1
include: [rooms.yaml]
channels:
  lobby:
    path: /chat
    description: One room for all.
    auth: none
    rooms: lobby
    messages:
      say: {schema: true, route: sender}
"""
PLAYED: Final = """\
channeld: 1
auth: {bots: {type: hook, hook: "chat:bot"}}
channels:
  room: {path: "/rooms/{r}", auth: [bots], messages: {message: {schema: true, route: sender, stamp: {from: "{user.id}"}}}}
"""
ENTRIES: Final = [entry for entry in CATALOGUE.values() if entry.code.startswith("CH")]


@attrs.frozen
class Case:
    """An example of an entry, and the file that holds it with the report about it."""

    entry: CatalogueEntry
    example: str
    file: Path


@attrs.frozen
class Outcome:
    """The codes of an example's findings, and the report as `channeld validate` shows it."""

    codes: frozenset[str]
    text: str


def cases() -> Iterator[Case]:
    """The cases of every entry: the wrong example, then the right one."""
    for entry in ENTRIES:
        stem = f"{entry.code}-{entry.name}"
        yield Case(entry, entry.wrong, CASES / f"{stem}.txt")
        yield Case(entry, entry.right, CASES / f"{stem}.right.txt")


def outcome_of(case: Case, folder: Path) -> Outcome:
    """What comes of an example, in a folder of its own with all that it speaks of."""
    is_scenario = case.entry.code.startswith("CH8")
    _write("# chat.py: def bot(request): return None\n" if is_scenario else case.example, folder)
    with inside(folder):
        if is_scenario:
            Path("channels.yaml").write_text(PLAYED)
            return _scenarios(case.example)
        checked = check("channels.yaml", environ=ENVIRONMENT, fresh={"chat"})
    return _outcome(checked.report, checked.sources)


def rendered(case: Case) -> str:
    """The whole text of a case."""
    with TemporaryDirectory() as temporary:
        return f"{case.example}{DIVIDER}{outcome_of(case, Path(temporary) / 'conf').text}"


@attrs.frozen
class _Text:
    files: list[str]
    shown: str

    def text(self, file: str) -> str | None:
        return self.shown if file in self.files else None


def _scenarios(example: str) -> Outcome:
    name = "it.test.yaml"
    Path(name).write_bytes(example.encode("utf-8", "surrogateescape"))
    parsed = read_file(name)
    return _outcome(Runs(Options()).check(parsed), _Text([name], parsed.text))


def _outcome(report: Report, texts: Texts) -> Outcome:
    codes = frozenset(finding.code for finding in report)
    return Outcome(codes, render_text(report, texts, colour=False))


def _write(example: str, folder: Path) -> None:
    folder.mkdir()
    (folder / "tokens.yaml").write_text(TOKENS)
    first, _, _ = example.partition("\n")
    name, _, said = first.removeprefix("# ").partition(": ")
    main = example
    match name:
        case "chat.py":
            (folder / name).write_text(said.replace("|", "\n") + "\n")
        case "rooms.yaml":
            main = INCLUDING
            (folder / name).write_bytes(example.encode("utf-8", "surrogateescape"))
        case "secret.yaml":
            # A file that is too large can't be read by anyone, whatever their rights.
            with (folder / name).open("wb") as file:
                file.truncate(MAX_BYTES + 1)
    (folder / "channels.yaml").write_bytes(main.encode("utf-8", "surrogateescape"))


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)

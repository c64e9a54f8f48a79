"""Cases of the catalogue: an entry's example as a file, checked as the commands check it, and the text that comes of it.

A case is the example, a line of ten dashes, and the report. An example's first line may name a further file: the text of
the hook module (`# chat.py: …`, its lines divided by `|`), an included file that the example itself is (`# rooms.yaml:`),
or one that can't be read (`# secret.yaml:`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from channeld.config.load import MAX_BYTES
from channeld.diagnostics.catalogue import CATALOGUE, Entry
from channeld.diagnostics.render import render_text
from channeld.loading import Checked, check

CASES: Final = Path(__file__).parent / "cases"
DIVIDER: Final = "----------\n"
ENVIRONMENT: Final = {
    "CHANNELD_SECRET": "a secret of more than thirty-two bytes",
    "CHANNELD_JWT_SECRET": "a secret of more than thirty-two bytes",
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
LEFT_OUT: Final = {
    code: "is about scenario files, which `channeld.loading.check` does not read"
    for code in CATALOGUE
    if code.startswith("CH8")
} | {code: "is about two versions of a configuration" for code in CATALOGUE if code.startswith("D")}
ENTRIES: Final = [entry for entry in CATALOGUE.values() if entry.code not in LEFT_OUT]


def case_of(entry: Entry) -> Path:
    """The file of an entry's case."""
    return CASES / f"{entry.code}-{entry.name}.txt"


def report_of(checked: Checked) -> str:
    """The report as `channeld validate` shows it."""
    return render_text(checked.report, checked.sources, colour=False)


def checked_example(example: str, folder: Path) -> Checked:
    """What comes of an example, in a folder of its own with all that it speaks of."""
    _write(example, folder)
    with _inside(folder):
        return check("channels.yaml", environ=ENVIRONMENT, fresh={"chat"})


def rendered_case(example: str) -> str:
    """The whole text of a case."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "conf"
        return f"{example}{DIVIDER}{report_of(checked_example(example, folder))}"


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
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)

"""A new project from a template: a configuration, hooks, schemas, scenarios, CI. Nothing is ever overwritten.

The templates are package data under `templates/`: `common/` goes into every project. A leading `dot-` becomes a dot, and a
trailing `.in` is removed, so that neither git nor Python uses a template's files as our own.
"""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from channeld.config.language import schema_text

TEMPLATES: Final[Mapping[str, str]] = {
    "chat": "rooms with presence, history, whispers and a hook",
    "notifications": "events for one user on all of their connections",
    "dashboard": "devices send measurements, viewers subscribe to them",
    "collaboration": "a shared document with cursors, selections and the newest text at once",
    "devices": "telemetry with last values at once, commands to one device",
}
"""Each template's name, and what it makes."""

# A folder with only version control counts as empty.
_HARMLESS: Final = frozenset({".git"})
_SCHEMA: Final = "schemas/channels.schema.json"


class InTheWay(Exception):
    """The folder is not empty; `names` are what it holds, sorted."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        super().__init__(f"{folder} is not empty")
        self.folder = folder
        self.names = names


def contents(template: str) -> dict[str, str]:
    """The files of a project of one of `TEMPLATES`, by their path in it."""
    ours = files("channeld.dev").joinpath("templates")
    found = dict(_walk(ours.joinpath("common"), ""))
    found |= _walk(ours.joinpath(template), "")
    return dict(sorted({**found, **schema()}.items()))


def schema() -> dict[str, str]:
    """The language's schema for editors, by its path in a project."""
    return {_SCHEMA: schema_text()}


def create(folder: Path, written: Mapping[str, str]) -> list[str]:
    """Write a project into a folder, which is made if it is not there.

    Args:
        folder: new or empty (a `.git` in it may stay).
        written: the files' texts, by their path in it, such as the `contents` of a template.

    Returns:
        The paths of what was written, relative to the folder.

    Raises:
        InTheWay: the folder holds something; nothing was written.
        OSError: the folder or a file in it cannot be written.
    """
    if folder.exists():
        names = sorted(path.name for path in folder.iterdir() if path.name not in _HARMLESS)
        if names:
            raise InTheWay(folder, names)
    for name, text in written.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # "x": never overwrite what appeared in the meantime.
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return list(written)


def _walk(folder: Traversable, above: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        name = entry.name.removesuffix(".in")
        name = above + (f".{name.removeprefix('dot-')}" if name.startswith("dot-") else name)
        if entry.is_dir():
            yield from _walk(entry, f"{name}/")
        else:
            yield name, entry.read_text(encoding="utf-8")

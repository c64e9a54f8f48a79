"""Which files are configurations and which are scenario files, by their names, and how folders are searched for them."""

import os
import posixpath
from collections.abc import Callable, Iterator
from typing import Final

CONFIGURATIONS: Final = ("channels.yaml", "channels.yml")
_SCENARIOS: Final = (".test.yaml", ".test.yml")
_SKIPPED: Final = frozenset({"node_modules", "venv", "site-packages", "__pycache__"})


def is_scenarios(name: str) -> bool:
    """Whether a file is a scenario file, by its name."""
    return name.endswith(_SCENARIOS)


def is_configuration(name: str) -> bool:
    """Whether a file is a configuration by its name; other files are if they declare a version."""
    return posixpath.basename(name) in CONFIGURATIONS


def files_below(folder: str, is_wanted: Callable[[str], bool]) -> Iterator[str]:
    """The wanted files in and below a folder, which they begin with as the user wrote it.

    Hidden folders and installed packages contain other people's files.
    """
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and name not in _SKIPPED]
        yield from (os.path.join(at, name) for name in names if is_wanted(name))  # noqa: PTH118 - keeps `./`

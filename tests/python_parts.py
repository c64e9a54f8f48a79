"""Python packages that tests of other people's programs need, pinned, in folders of their own below `.cache/python`.

Nothing of them is needed to use channeld, and they stay out of its environment: a test puts the folder on `PYTHONPATH`.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.npm_parts import ROOT, skip

FOLDER: Final = ROOT / ".cache" / "python"
SETS: Final[Mapping[str, tuple[str, ...]]] = {
    "backends": (
        "fastapi==0.165.0", "uvicorn==0.54.0", "django==5.2.19", "standardwebhooks==1.1.0",
    ),
    "generators": ("fastapi-code-generator==0.8.1",),
    "asyncio": (
        "sqlalchemy==2.1.9", "greenlet>=3", "aiosqlite==0.22.1", "asyncpg==0.32.0", "aiohttp==3.14.5",
        "redis==8.1.0",
    ),
}  # fmt: skip


def python_folder(name: str) -> Path:
    """A folder with one set's packages, installed when it is first asked for; skips the test where that can't be."""
    folder = FOLDER / name
    wanted = "\n".join(SETS[name])
    if not _is_installed(folder, wanted):
        _install(folder, wanted)
    return folder


def _is_installed(folder: Path, wanted: str) -> bool:
    marker = folder / "installed.txt"
    return marker.exists() and marker.read_text() == wanted


def _install(folder: Path, wanted: str) -> None:
    # Beside it first: two test processes may do this at once.
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as made:
        arguments = ["install", "--quiet", "--disable-pip-version-check", "--target", made]
        done = subprocess.run(
            [sys.executable, "-m", "pip", *arguments, *wanted.split("\n")],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            skip(f"pip can't install {wanted.split()}: {done.stderr.strip()[-200:]}")
        Path(made, "installed.txt").write_text(wanted)
        if folder.exists():
            folder.rename(Path(made, "outdated"))
        try:
            Path(made).rename(folder)
        except OSError:
            if not _is_installed(folder, wanted):
                raise
        else:
            Path(made).mkdir()

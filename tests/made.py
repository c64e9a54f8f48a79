"""The line at the head of a generated page: when it was made, of which commit, and by which command it is made again."""

import subprocess
import time
from pathlib import Path

__all__ = ["made"]

ROOT = Path(__file__).parents[1]


def made(command: str) -> str:
    """The line, for a page that `command` writes."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=8", "--exclude=*"]
    commit = subprocess.check_output(git, text=True).strip()
    return (
        f"Made on {time.strftime('%Y-%m-%d', time.gmtime())} at commit `{commit}` by `{command}`."
    )

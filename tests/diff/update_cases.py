"""Writes the reports of the golden cases again: `python -m tests.diff.update_cases`; then read what has changed."""

import sys
from pathlib import Path

from tests.diff.kit import compared

CASES = Path(__file__).parent / "cases"
BETWEEN = "----------\n"


def main() -> int:
    """Compare the two files of each case, and tell how many reports are different now."""
    changed = 0
    paths = sorted(CASES.glob("*.txt"))
    for path in paths:
        old, new, before = path.read_text(encoding="utf-8").split(BETWEEN)
        report = compared(old, new, everything=path.stem.startswith("D702"))
        if report != before:
            path.write_text(BETWEEN.join((old, new, report)), encoding="utf-8")
            changed += 1
    sys.stdout.write(f"{len(paths)} cases, {changed} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

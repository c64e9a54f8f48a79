"""Writes the catalogue's cases again: `python -m tests.config.update_cases`; then read what has changed."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.config.golden import CASES, DIVIDER, cases, rendered
from tests.config.newcomer import NEWCOMERS, findings, newcomer_cases, said


def main() -> int:
    """Write each entry's cases, take away those without an entry, and tell what is different now."""
    wanted = {case.file: rendered(case) for case in cases()}
    for file in set(CASES.glob("*.txt")) - set(wanted):
        file.unlink()
    wanted |= {file: _of_newcomers(file) for file in NEWCOMERS.glob("*.txt")}
    changed = 0
    for file, text in wanted.items():
        data = text.encode("utf-8", "surrogateescape")
        if not file.exists() or file.read_bytes() != data:
            file.write_bytes(data)
            changed += 1
    sys.stdout.write(f"{len(wanted)} cases, {changed} written\n")
    return 0


def _of_newcomers(file: Path) -> str:
    parts = []
    for case in newcomer_cases(file):
        count = f": {case.mistakes}" if case.mistakes > 1 else ""
        with TemporaryDirectory() as folder:
            expected = said(findings(case, Path(folder) / "conf"))
        parts.append(f"=== {case.name}{count}\n{case.text}{DIVIDER}{expected}")
    return "".join(parts)


if __name__ == "__main__":
    sys.exit(main())

"""Writes the catalogue's cases again: `python -m tests.config.update_cases`; then read what has changed."""

import sys

from tests.config.golden import CASES, cases, rendered


def main() -> int:
    """Write each entry's cases, take away those without an entry, and tell what is different now."""
    wanted = {case.file: rendered(case) for case in cases()}
    for file in set(CASES.glob("*.txt")) - set(wanted):
        file.unlink()
    changed = 0
    for file, text in wanted.items():
        data = text.encode("utf-8", "surrogateescape")
        if not file.exists() or file.read_bytes() != data:
            file.write_bytes(data)
            changed += 1
    sys.stdout.write(f"{len(wanted)} cases, {changed} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs every test that `docs/threat-tests.md` names, and writes into the page that they pass. `python -m tests.docs.threats`."""

import subprocess
import sys

from tests.docs.blocks import ROOT
from tests.docs.test_threat_tests import NAMED, PAGE
from tests.made import made

START, END = "<!-- made: begin -->", "<!-- made: end -->"


def main() -> int:
    ran = subprocess.run([sys.executable, "-m", "pytest", "-q", *NAMED], cwd=ROOT, check=False)
    if ran.returncode == 0:
        before, _, rest = PAGE.read_text().partition(START)
        passed = f"{made('make threats')} All {len(NAMED)} tests passed."
        PAGE.write_text(f"{before}{START}\n{passed}\n{END}{rest.partition(END)[2]}")
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main())

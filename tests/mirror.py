"""How much of each module its own test module covers: `python -m tests.mirror [MODULE…]`, or `make mirror`.

Coverage of the whole suite hides that a module is only met on the way to others. Here each module of the package is run
with the test module of its name alone, branches counted. Printed from the least covered to the most.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "channeld"


def own_test(module: Path) -> Path:
    """The test module of a module's name."""
    return ROOT / "tests" / module.relative_to(PACKAGE).parent / f"test_{module.name}"


def mirrored(chosen: Iterable[str]) -> Iterator[Path]:
    """The modules that have a test module of their own; all of them where none is named."""
    names = [Path(name).resolve() for name in chosen]
    for module in names or sorted(PACKAGE.rglob("*.py")):
        if own_test(module).exists():
            yield module


def coverage_of(module: Path) -> tuple[float, str]:
    """Percent of the module's lines and branches that its own tests run, and the lines that they do not."""
    with tempfile.TemporaryDirectory() as folder:
        data, report = f"{folder}/data", f"{folder}/report.json"
        run = [sys.executable, "-m", "coverage"]
        environ = {**os.environ, "COVERAGE_FILE": data}
        measured = ["run", "--branch", f"--include={module}", "-m", "pytest", "-q", "-x"]
        test = [*run, *measured, "-p", "no:cacheprovider", str(own_test(module))]
        done = subprocess.run(test, cwd=ROOT, env=environ, capture_output=True, check=False)
        if done.returncode:
            return 0.0, f"its tests fail: {done.stdout.decode(errors='replace').splitlines()[-1:]}"
        subprocess.run([*run, "json", "-q", "-o", report], cwd=ROOT, env=environ, check=False)
        if not Path(report).exists():
            return 0.0, "its tests never import it"
        (found,) = json.loads(Path(report).read_text())["files"].values()
    missing = ", ".join(map(str, found["missing_lines"][:12]))
    return found["summary"]["percent_covered"], missing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("module", nargs="*", help="Paths of modules; all of them by default.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--least", type=float, default=0, help="Fail under this percentage.")
    options = parser.parse_args()
    modules = list(mirrored(options.module))
    with ThreadPoolExecutor(options.jobs) as pool:
        rows = sorted(zip(pool.map(coverage_of, modules), modules, strict=True))
    for (percent, missing), module in rows:
        where = f"  lines {missing}" if missing else ""
        print(f"{percent:6.1f} %  {module.relative_to(ROOT)}{where}")
    return int(any(percent < options.least for (percent, _), _ in rows))


if __name__ == "__main__":
    sys.exit(main())

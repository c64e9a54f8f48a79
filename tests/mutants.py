"""A mutation run by hand: `python -m tests.mutants [MODULE…]`, or `make mutants`.

Each mutant is one small fault (`<` for `<=`, `and` for `or`, a number one higher, a call left out …) in one module. The
module's own test module runs against a copy of the package with that fault; a mutant that no test notices *survives*,
and says which test is missing. Survivors that cannot matter stand in `tests/survivors.txt`, each with its reason.
"""

import argparse
import ast
import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import attrs

from tests.mirror import PACKAGE, ROOT, own_test

MODULES: Final = (
    "protocol/websocket.py",
    "hub/rooms.py",
    "hub/presence.py",
    "engine/limits.py",
    "plan/templates.py",
)
SURVIVORS: Final = ROOT / "tests" / "survivors.txt"
TIMEOUT: Final = 120.0

SWAPS: Final[dict[type[ast.AST], type[ast.AST]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr,
}  # fmt: skip


@attrs.frozen
class Mutant:
    """One fault: where it is, what it was and is, and the module's text with it."""

    module: Path
    line: int
    was: str
    now: str
    text: str = attrs.field(repr=False)

    @property
    def name(self) -> str:
        """What identifies it while lines move: the module, and both texts."""
        return f"{self.module.relative_to(ROOT)}: {self.was} -> {self.now}"


def faults(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    """The ways to break one node, each to be applied to a copy of it."""
    match node:
        case ast.Compare():
            for at, operator in enumerate(node.ops):
                if type(operator) in SWAPS:
                    yield lambda n, at=at: n.ops.__setitem__(at, SWAPS[type(n.ops[at])]())  # type: ignore[misc]
        case ast.BoolOp() | ast.BinOp() if type(node.op) in SWAPS:
            yield lambda n: setattr(n, "op", SWAPS[type(n.op)]())  # type: ignore[attr-defined]
        case ast.Constant(value=bool()):
            yield lambda n: setattr(n, "value", not n.value)  # type: ignore[attr-defined]
        case ast.Constant(value=int()):
            yield lambda n: setattr(n, "value", n.value + 1)  # type: ignore[attr-defined]
        case ast.Expr(value=ast.Call()):
            yield lambda n: setattr(n, "value", ast.Constant(None))
        case ast.If() | ast.While() | ast.IfExp():
            yield lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))  # type: ignore[attr-defined]


def mutants(module: Path) -> Iterator[Mutant]:
    """Every mutant of a module; annotations, docstrings and constants of the module's head stay as they are."""
    tree = ast.parse(module.read_text())
    bodies = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    seen: set[int] = set()
    for body in bodies:
        for node in (inner for statement in body.body for inner in ast.walk(statement)):
            if id(node) in seen:
                continue
            seen.add(id(node))
            for break_it in faults(node):
                yield _mutant(module, tree, node, break_it)


def _mutant(
    module: Path, tree: ast.Module, node: ast.AST, break_it: Callable[[ast.AST], None]
) -> Mutant:
    kept = copy.copy(node.__dict__)
    if isinstance(node, ast.Compare):
        node.ops = list(node.ops)
    was = ast.unparse(node).partition("\n")[0]
    break_it(node)
    now = ast.unparse(node).partition("\n")[0]
    text = ast.unparse(tree)
    node.__dict__.update(kept)
    return Mutant(module, getattr(node, "lineno", 0), was, now, text)


def survives(mutant: Mutant, copy_of: Path) -> bool:
    """Whether the module's own tests pass on a copy of the package with the fault."""
    broken = copy_of / mutant.module.relative_to(ROOT)
    whole = broken.read_text()
    broken.write_text(mutant.text)
    test = str(own_test(mutant.module).relative_to(ROOT))
    run = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environ = {**os.environ, "PYTHONPATH": str(copy_of)}
    try:
        done = subprocess.run(
            run, cwd=copy_of, env=environ, capture_output=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        broken.write_text(whole)
    return done.returncode == 0


def known() -> dict[str, str]:
    """The survivors that stand in the list, each with its reason."""
    lines = SURVIVORS.read_text().splitlines() if SURVIVORS.exists() else []
    rows = (line.partition("  # ") for line in lines if line and not line.startswith("#"))
    return {name: reason for name, _, reason in rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("module", nargs="*", help="Paths of modules.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    chosen = [Path(name).resolve() for name in options.module] or [PACKAGE / n for n in MODULES]
    every = [mutant for module in chosen for mutant in mutants(module)]
    reasons = known()
    left = [mutant for mutant in every if mutant.name not in reasons]
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.jobs):
            copies.put(_copied(Path(folder) / str(number)))

        def tried(mutant: Mutant) -> bool:
            here = copies.get()
            try:
                return survives(mutant, here)
            finally:
                copies.put(here)

        with ThreadPoolExecutor(options.jobs) as pool:
            alive = [m for m, is_alive in zip(left, pool.map(tried, left), strict=True) if is_alive]
    for mutant in alive:
        print(f"{mutant.module.relative_to(ROOT)}:{mutant.line}: {mutant.was} -> {mutant.now}")
    print(f"{len(every)} mutants, {len(every) - len(left)} known to survive, {len(alive)} more do")
    return int(bool(alive))


def _copied(folder: Path) -> Path:
    without = shutil.ignore_patterns(".git", ".venv", "*cache*", "node_modules", "bench", "docs")
    shutil.copytree(ROOT, folder, ignore=without, symlinks=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())

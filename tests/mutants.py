"""A mutation run by hand: `python -m tests.mutants [MODULE…]`, or `make mutants`.

Each mutant is one small fault (`<` for `<=`, `and` for `or`, a number one higher, a call left out …) in one module. The
module's own test module runs against a copy of the package with that fault; a mutant that no test notices *survives*,
and says which test is missing. Survivors that cannot matter stand in `tests/survivors.txt`, each with its reason.
"""

import argparse
import ast
import compileall
import copy
import os
import py_compile
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import attrs
import hypothesis  # noqa: F401  loaded once, before the forks
import pytest
import trio.testing  # noqa: F401  likewise

from tests.mirror import PACKAGE, ROOT, own_test

MODULES: Final = (
    "protocol/websocket.py",
    "hub/rooms.py",
    "hub/presence.py",
    "engine/limits.py",
    "plan/templates.py",
)
SURVIVORS: Final = ROOT / "tests" / "survivors.txt"
TIMEOUT: Final = 60

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

    @property
    def place(self) -> str:
        """Where it is, for who goes there: the module, the line, and both texts."""
        return f"{self.module.relative_to(ROOT)}:{self.line}: {self.was} -> {self.now}"


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


def tried(these: list[Mutant], copies: list[Path]) -> Iterator[tuple[Mutant, bool]]:
    """Each mutant, and whether its module's own tests pass with it on one of these copies of the repository.

    They run in a fork of this process, which has pytest and its kind loaded already.
    """
    running: dict[int, tuple[Mutant, Path]] = {}
    free = list(copies)
    for mutant in these:
        if not free:
            yield _ended(running, free)
        here = free.pop()
        here.joinpath(mutant.module.relative_to(ROOT)).write_text(mutant.text)
        child = os.fork()
        if child == 0:
            _test(here, str(own_test(mutant.module).relative_to(ROOT)))
        running[child] = mutant, here
    while running:
        yield _ended(running, free)


def _ended(running: dict[int, tuple[Mutant, Path]], free: list[Path]) -> tuple[Mutant, bool]:
    child, status = os.wait()
    mutant, here = running.pop(child)
    shutil.copy(mutant.module, here / mutant.module.relative_to(ROOT))
    free.append(here)
    return mutant, status == 0


def _test(here: Path, test: str) -> NoReturn:
    """Run one test module on the package beside it, and end with its verdict, or killed when it has used up `TIMEOUT` seconds."""
    # Of its own time, not of the wall: a test that waits for ever is ended by pytest-timeout, which takes SIGALRM for that.
    resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT, TIMEOUT))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.chdir(here)
    os.environ["PYTHONPATH"] = sys.path[0] = str(here)
    for name in [n for n in sys.modules if n.partition(".")[0] in {"channeld", "tests"}]:
        del sys.modules[name]
    loaded = "ignore::pytest.PytestAssertRewriteWarning"
    try:
        os._exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-W", loaded, test]))
    finally:
        os._exit(1)


def known() -> dict[str, str]:
    """The survivors that stand in the list, each with its reason."""
    lines = SURVIVORS.read_text().splitlines() if SURVIVORS.exists() else []
    rows = (line.partition("  # ") for line in lines if line and not line.startswith("#"))
    return {name: reason for name, _, reason in rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("module", nargs="*", help="Paths of modules.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--done", type=Path, help="A file of verdicts: what stands in it is not tried again."
    )
    options = parser.parse_args()
    chosen = [Path(name).resolve() for name in options.module] or [PACKAGE / n for n in MODULES]
    every = [mutant for module in chosen for mutant in mutants(module)]
    reasons = known()
    left = [mutant for mutant in every if mutant.name not in reasons]
    done = _verdicts(options.done) if options.done else {}
    with tempfile.TemporaryDirectory() as folder:
        copies = [_copied(Path(folder) / str(number)) for number in range(options.jobs)]
        whole = [Mutant(module, 0, "as it", "is", module.read_text()) for module in chosen]
        if failing := [mutant.name for mutant, passes in tried(whole, copies) if not passes]:
            parser.error(f"tests that fail without a fault: {', '.join(failing)}")
        for mutant, is_alive in tried([m for m in left if m.place not in done], copies):
            done[mutant.place] = is_alive
            if options.done:
                with options.done.open("a") as file:
                    print("alive" if is_alive else "dead", mutant.place, file=file)
    alive = [mutant for mutant in left if done[mutant.place]]
    for mutant in alive:
        print(mutant.place)
    print(f"{len(every)} mutants, {len(every) - len(left)} known to survive, {len(alive)} more do")
    return int(bool(alive))


def _verdicts(file: Path) -> dict[str, bool]:
    """What an earlier run that did not come to its end found."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {
        name: verdict == "alive" for verdict, _, name in (line.partition(" ") for line in lines)
    }


def _copied(folder: Path) -> Path:
    """A copy of the repository, compiled so that only what was changed since is compiled again."""
    without = shutil.ignore_patterns(".git", ".venv", "*cache*", "node_modules", "bench", "docs")
    shutil.copytree(ROOT, folder, ignore=without, symlinks=True)
    checked = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(folder / "channeld", quiet=1, invalidation_mode=checked)
    return folder


if __name__ == "__main__":
    sys.exit(main())

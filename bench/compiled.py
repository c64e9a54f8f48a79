"""The compiled wheel: a build hook for hatchling that compiles the hot modules with mypyc where CHANNELD_COMPILE is 1.

Without that variable nothing is done, asked for or imported: `make run`, the sdist and `py3-none-any` stay pure and need no
compiler. The sources are the same for both builds, and a compiled wheel carries them beside what was made of them.

`python bench/compiled.py FOLDER` compiles the sources that stand in FOLDER (the hook calls it in a process of its own);
`python bench/compiled.py --lay-out FOLDER` makes the environment of `make test-compiled`, of a wheel that lies there.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
SWITCH = "CHANNELD_COMPILE"
TOOLS = ("mypy>=1.15", "setuptools")

# What a message, a delivery and a connect go through. The classes that inherit from these have to be compiled with them:
# what mypyc makes cannot be inherited from otherwise (`traced`, `shadow`). Left out, and why: `broker`, whose attrs classes
# with factories mypyc does not take, `plan`, which is closures, and `timers`, of which each is a `float`.
MODULES = (
    "channeld/engine/in_flight.py",
    "channeld/engine/latency.py",
    "channeld/engine/limits.py",
    "channeld/engine/publishing.py",
    "channeld/engine/rates.py",
    "channeld/engine/receive.py",
    "channeld/engine/routing.py",
    "channeld/engine/session.py",
    "channeld/engine/traced.py",
    "channeld/hub/fanout.py",
    "channeld/hub/hub.py",
    "channeld/hub/presence.py",
    "channeld/hub/rooms.py",
    "channeld/hub/traced.py",
    "channeld/later.py",
    "channeld/protocol/frames.py",
    "channeld/protocol/masking.py",
    "channeld/protocol/reader.py",
    "channeld/protocol/websocket.py",
    "channeld/server/connection.py",
    "channeld/server/drivers/lane.py",
    "channeld/server/outbox.py",
    "channeld/server/transports/websocket.py",
    "channeld/server/watched.py",
    "channeld/shadow/judge.py",
    "channeld/shadow/shadow.py",
)

# Inherited from by classes that are not compiled. Only mypyc has to be told; the sources know nothing of it.
OPEN = {"channeld/server/outbox.py": "Outbox", "channeld/hub/rooms.py": "InRooms"}
TOLD = """
import typing
if typing.TYPE_CHECKING:
    from mypy_extensions import mypyc_attr

@mypyc_attr(allow_interpreted_subclasses=True)
class {}:"""


class CompileHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled modules to a wheel, whose tag then names interpreter and platform."""

    def dependencies(self) -> list[str]:
        """What only a compiled wheel needs: mypyc, and what it has to see to know the types."""
        if not is_asked_for():
            return []
        return [*self.metadata.core.dependencies, *TOOLS]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless the installation is an editable one."""
        if not is_asked_for() or version == "editable":
            return
        self.folder = Path(tempfile.mkdtemp(prefix="compiled-"))
        shutil.copytree(Path(self.root) / "channeld", self.folder / "channeld")
        subprocess.run([sys.executable, __file__, str(self.folder)], check=True)
        for made in (self.folder / "made").rglob("*.so"):
            build_data["force_include"][str(made)] = str(made.relative_to(self.folder / "made"))
        build_data.update(pure_python=False, infer_tag=True)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was made for it."""
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


def is_asked_for() -> bool:
    return os.environ.get(SWITCH) == "1"


def compile_modules(folder: Path) -> None:
    """Compiles the modules of `folder/channeld`; what was made lies in `folder/made`."""
    from mypyc.build import mypycify  # noqa: PLC0415 - only here
    from setuptools import setup  # noqa: PLC0415

    os.chdir(folder)
    for module, name in OPEN.items():
        text = Path(module).read_text()
        Path(module).write_text(text.replace(f"\nclass {name}:", TOLD.format(name)))
    options = ["--strict", "--explicit-package-bases", "--ignore-missing-imports"]
    modules = mypycify([*options, *MODULES], opt_level="2", debug_level="0", group_name="channeld")
    script = ["build_ext", "--build-lib", "made", "--build-temp", "objects"]
    setup(name="channeld", packages=[], ext_modules=modules, script_args=["--quiet", *script])


def lay_out(folder: Path) -> None:
    """An environment with the wheel of `folder`, and the checkout without its sources, so that tests import the wheel."""
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True, clear=True)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    site = next(folder.glob("venv/lib/python*/site-packages"))
    # Its dependencies are the running one's, whose own channeld comes behind.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    for path in ROOT.iterdir():
        if path.name == "tests":
            shutil.copytree(path, tree / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        elif path.name not in ("channeld", "build") and not path.name.startswith("."):
            (tree / path.name).symlink_to(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lay-out", action="store_true")
    options = parser.parse_args()
    (lay_out if options.lay_out else compile_modules)(options.folder.resolve())

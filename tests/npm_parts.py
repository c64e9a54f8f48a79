"""Installs what tests need from npm, pinned, below `.cache`; run by itself, it also compiles the client's JavaScript.

Nothing of it is needed to use channeld. Where Node or npm is missing the tests that need them are skipped (not with
CHANNELD_NO_SKIPS: then they fail).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from channeld.export.typescript import client_source

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache"
# Each in a folder of its own: what only the wide tests need is large.
PACKAGES = {
    "npm": {"@asyncapi/specs": "6.11.1", "typescript": "5.9.3", "ws": "8.23.0"},
    "npm-modelina": {"@asyncapi/modelina": "5.10.1"},
    "npm-streams": {
        "@durable-streams/client": "0.2.7",
        "@durable-streams/server-conformance-tests": "0.3.6",
        "eventsource": "5.1.5",
        "vitest": "4.1.12",
    },
    "npm-backends": {"express": "5.3.0", "standardwebhooks": "1.1.1"},
    "npm-openapi": {"openapi-typescript": "7.13.0", "typescript": "5.9.3"},
}
CLIENT = ROOT / "channeld" / "export" / "templates" / "client.ts"
# What stands above the client in a generated module, as far as the compiler has to know of it.
ABOVE = """\
export interface ChannelMap { [name: string]: ChannelTypes }
declare const CHANNELS: { [name: string]: ChannelNames };
"""
STRICT = ("--strict", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler")


def npm_folder(name: str = "npm") -> Path:
    """A `node_modules` folder, installed when it is first asked for; skips the test where that can't be."""
    reason = _missing(name)
    if reason:
        skip(reason)
    return CACHE / name / "node_modules"


def need_node() -> None:
    """Skip the test where Node is missing."""
    if shutil.which("node") is None:
        skip("node is not here")


def skip(reason: str) -> None:
    """Skip the running test, or fail it where none may be skipped."""
    if os.environ.get("CHANNELD_NO_SKIPS"):
        pytest.fail(reason)
    pytest.skip(reason)


def tsc(*arguments: str, folder: Path) -> str:
    """What the TypeScript compiler says; empty where it has nothing to say."""
    compiler = npm_folder() / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        ["node", str(compiler), *STRICT, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def compiled_client() -> str:
    """The client's JavaScript, out of its TypeScript."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.joinpath("client.ts").write_text(ABOVE + client_source("client.ts"))
        said = tsc("--lib", "es2022,dom", "client.ts", folder=folder)
        assert said == "", said
        text = folder.joinpath("client.js").read_text()
    # The head is generated; the file in the package starts below it.
    return text[text.index("// ----") :].split("\n", 3)[3]


def _missing(name: str = "npm") -> str:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"{program} is not here"
    if not _is_installed(name):
        return _install(name)
    return ""


def _is_installed(name: str) -> bool:
    for package, version in PACKAGES[name].items():
        manifest = CACHE / name / "node_modules" / package / "package.json"
        if not manifest.exists() or json.loads(manifest.read_text())["version"] != version:
            return False
    return True


def _install(name: str) -> str:
    # Into a folder of its own first: two test processes may do this at once.
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
        wanted = [f"{package}@{version}" for package, version in PACKAGES[name].items()]
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", fresh, *wanted],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return f"npm can't install {', '.join(wanted)}: {done.stderr.strip()[-200:]}"
        if not _is_installed(name):
            shutil.rmtree(CACHE / name, ignore_errors=True)
            CACHE.joinpath(name).mkdir(exist_ok=True)
            try:
                Path(fresh, "node_modules").rename(CACHE / name / "node_modules")
            except OSError:
                if not _is_installed(name):
                    raise
    return ""


if __name__ == "__main__":
    reason = _missing()
    if reason:
        sys.exit(f"{reason}: the tests that need it are skipped")
    CLIENT.with_suffix(".js").write_text(compiled_client())

"""Brings the peers into `bench/build/`: a virtual environment, node_modules, unpacked Debian packages, compiled C."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent
BUILD = BENCH / "build"
VENV = BUILD / "venv"
PYTHON = VENV / "bin" / "python"
DEBIAN = BUILD / "debian"
TIME_LIMIT = 300
C_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra")
TLS_FLAGS = ("-DTLS", "-lssl", "-lcrypto", "-lz")


class NotInstalledError(Exception):
    """A package could not be had; the text says which and why, in one line."""


def run(command: list[str], what: str, cwd: Path = BUILD) -> str:
    """Runs an installer; returns its output, or raises `NotInstalledError` with its last line."""
    cwd.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
        )
    except FileNotFoundError:
        raise NotInstalledError(f"{what}: there is no `{command[0]}` here") from None
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"{what}: {command[0]} took over {TIME_LIMIT} s") from None
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise NotInstalledError(f"{what}: {lines[-1][:200]}")
    return done.stdout


def compile_c(source: Path) -> Path:
    """Compiles one of our C files unless its binary is newer; returns the binary."""
    target = BUILD / source.stem
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        command = ["cc", *C_FLAGS, "-o", str(target), str(source)]
        run([*command, *TLS_FLAGS] if has_openssl() else command, source.name, cwd=BENCH)
    return target


def has_openssl() -> bool:
    """Whether what the load client needs for TLS and compression can be compiled here."""
    headers = "#include <openssl/ssl.h>\n#include <zlib.h>\n"
    command = ["cc", "-E", "-x", "c", "-"]
    done = subprocess.run(command, input=headers, capture_output=True, text=True, check=False)
    return done.returncode == 0


def pypi(requirement: str) -> str:
    """Installs a PyPI requirement in our own environment, unless it is there; returns its version."""
    name = re.split(r"[\[<>=]", requirement)[0]
    if not PYTHON.exists():
        run([sys.executable, "-m", "venv", str(VENV)], "venv", cwd=BENCH)
    version = pypi_version(name)
    if version is None:
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, requirement], requirement)
        version = pypi_version(name)
    return f"{name} {version}"


def pypi_version(name: str) -> str | None:
    wanted = name.lower().replace("-", "_")
    for info in VENV.glob("lib/python*/site-packages/*.dist-info"):
        found, _, version = info.name.removesuffix(".dist-info").rpartition("-")
        if found.lower().replace("-", "_") == wanted:
            return version
    return None


def npm(name: str) -> str:
    """Installs an npm package in `build/node_modules`, unless it is there; returns its version."""
    manifest = BUILD / "node_modules" / name / "package.json"
    if not manifest.exists():
        run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", ".", name], name)
    return f"{name} {json.loads(manifest.read_text())['version']}"


def debian(name: str) -> str:
    """Downloads and unpacks a Debian package under `build/debian/root`; nothing is installed in the system."""
    DEBIAN.mkdir(parents=True, exist_ok=True)
    marker = DEBIAN / f"{name}.version"
    if not marker.exists():
        try:
            run(["apt-get", "download", name], name, cwd=DEBIAN)
        except NotInstalledError:
            run(["apt-get", "update", "-qq"], "apt-get update", cwd=DEBIAN)
            run(["apt-get", "download", name], name, cwd=DEBIAN)
        archive = next(DEBIAN.glob(f"{name}_*.deb"))
        run(["dpkg-deb", "-x", archive.name, "root"], name, cwd=DEBIAN)
        marker.write_text(run(["dpkg-deb", "-f", archive.name, "Version"], name, cwd=DEBIAN))
    version = marker.read_text().strip().rpartition(":")[2]
    return f"{name} {re.split('[-+~]', version)[0]}"


def node(_: str) -> str:
    """Only looks for Node; it comes from outside."""
    if shutil.which("node") is None:
        raise NotInstalledError("there is no `node` here")
    return "Node " + run(["node", "--version"], "node", cwd=BENCH).strip().removeprefix("v")


def folder(name: str) -> str:
    """Makes a folder outside of `build/` that a binary has compiled in and can't be told otherwise."""
    try:
        Path(name).mkdir(exist_ok=True)
    except OSError as error:
        raise NotInstalledError(f"{name} is needed: {error.strerror}") from None
    return ""


def certificate() -> tuple[Path, Path]:
    """A certificate and its key for 127.0.0.1, made once."""
    made = BUILD / "certificate.pem", BUILD / "key.pem"
    if not made[0].exists():
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"]
        command = ["openssl", "req", "-x509", *kind, "-subj", "/CN=127.0.0.1"]
        run([*command, "-out", str(made[0]), "-keyout", str(made[1])], "a certificate")
    return made


INSTALLERS = {"pypi": pypi, "npm": npm, "debian": debian, "node": node, "folder": folder}


def install(packages: tuple[str, ...]) -> str:
    """Brings `kind:name` packages; returns their versions for the table, or raises `NotInstalledError`."""
    BUILD.mkdir(exist_ok=True)
    versions = []
    for package in packages:
        kind, _, name = package.partition(":")
        versions.append(INSTALLERS[kind](name))
    return ", ".join(version for version in versions if version)

"""Installs what tests need beside Python: Chromium, its driver, redis-server, proxies and checkers, by apt where that is possible.

Prints one line for each part that is missing in the end: the tests that need it are skipped (not with
CHANNELD_NO_SKIPS: then they fail).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PARTS = {
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "redis-server": "redis-server",
    "nginx": "nginx-light",
    "caddy": "caddy",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
    "go": "golang-go",
    "postgres": "postgresql",
    "nvim": "neovim",
    "php": "php-cli",
}
# Where Debian keeps what only root is expected to run, and PostgreSQL's own programs.
PATH = ":".join(
    [
        os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin",
        *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))),
    ]
)  # fmt: skip


def missing() -> list[str]:
    return [program for program in PARTS if shutil.which(program, path=PATH) is None]


def install(packages: list[str]) -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        subprocess.run([apt, "--quiet", "--quiet", *arguments], env=environ, check=False)


def main() -> None:
    absent = missing()
    if absent:
        install([PARTS[program] for program in absent])
    for program in missing():
        print(f"{program} is not here: the tests that need it are skipped", file=sys.stderr)


if __name__ == "__main__":
    main()

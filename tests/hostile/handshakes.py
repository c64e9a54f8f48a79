"""Attacks before the upgrade, and on how connections come and go; each returns what it was answered."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.hostile.floods import all_answers, packed
from tests.hostile.ground import CANARY, Ground
from tests.hostile.wire import GOODBYE, PATIENCE, Answers, head, say
from tests.system.kit import ROOT, environment, token

_STUBBORN = """\
import sys, socket
from tests.hostile.wire import Raw
port, source, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
clients = [Raw(port, source).open("/echo") for _ in range(count)]
print("open", flush=True)
sys.stdin.read()
"""


def unfinished(ground: Ground, count: int) -> Answers:
    """`count` handshakes at once; every other one never ends, and dribbles a byte now and then."""
    whole = head("/echo")
    clients = [ground.raw() for _ in range(count)]
    for client in clients:
        client.pour([whole[:60]], reads=False)
    finishing, dribbling = clients[::2], clients[1::2]
    for client in finishing:
        client.pour([whole[60:]])
    answers: Answers = Counter()
    for client in finishing:
        # On a slow machine the last of them may be too late as well.
        answers += client.read_until("HTTP").answers
    for number in range(60, len(whole) - 1):
        # In turn, so a byte is as late as it takes to serve the others; the last one never comes.
        for client in dribbling:
            if not client.ended:
                client.pour([whole[number : number + 1]])
        if all(client.ended for client in dribbling):
            break
    answers += all_answers(dribbling)
    for client in finishing:
        client.socket.close()
    return answers


def silent_sockets(ground: Ground, count: int) -> Answers:
    """TCP connections on which nothing is ever said."""
    return all_answers([ground.raw() for _ in range(count)])


def silent_clients(ground: Ground, count: int) -> Answers:
    """Let in as far as to say who they are, and then they do not."""
    clients = [ground.raw().open("/private") for _ in range(count)]
    answers: Answers = Counter()
    for client in clients:
        with client:
            answers += client.part().answers
    return answers


def bad_heads(ground: Ground, count: int) -> Answers:
    """Heads that are too large, too many, of bytes that do not belong there, or no heads at all."""
    answers: Answers = Counter()
    for bad in (*BAD_HEADS, *_any_byte(count)):
        with ground.raw() as client:
            client.pour([bad])
            client.read_until("HTTP")
            if client.answers["HTTP 101"]:
                client.pour([GOODBYE])
            answers += client.read_out().answers
    return answers


BAD_HEADS = (
    head("/echo", "X-Large: " + "x" * 20_000),
    head("/echo", *(f"X-{number}: x" for number in range(1500))),
    head("/echo", "Sec-WebSocket-Extensions: permessage-deflate; a=" + '"' * 8000),
    head("/" + "a/" * 7000),
    head("/echo", "Host: other"),
    head("/echo", "Content-Length: 5") + b"hello",
    head("/echo", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    head("/echo").replace(b"GET", b"POST"),
    head("/echo").replace(b"HTTP/1.1", b"HTTP/1.0"),
    head("/echo").replace(b"\r\n", b"\n") + b"x" * 17_000,
    head("/nowhere\x1b[2J%0d%0aevent"),
    b"\x16\x03\x01\x02\x00\x01\x00" + b"\x00" * 17_000,
    b"\x00" * 17_000,
)


def _any_byte(count: int) -> Iterator[bytes]:
    """Heads with any one byte at any one place, in a walk that reaches all of them in time."""
    whole = head("/nowhere")
    for number in range(count):
        at, byte = (number * 7919) % (len(whole) - 4), (number * 104_729) % 256
        # The end of the head is left alone: an unfinished one is another attack.
        changed = whole[:at] + bytes((byte,)) + whole[at + 1 :]
        yield changed + b"\r\n\r\n"


def preflights(ground: Ground, count: int) -> Answers:
    """Sent ahead of their answers over one connection, as often as it is kept, and over the next one."""
    answers: Answers = Counter()
    asked = (
        b"OPTIONS /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
        b"Access-Control-Request-Method: POST\r\n\r\n"
    )
    while answers["HTTP 204"] < count:
        with ground.raw() as client:
            client.pour(packed(asked, min(1000, count)))
            client.read_until("HTTP", count=min(1000, count))
            answers += client.answers
    return answers


def bad_tokens(ground: Ground, count: int) -> Answers:
    """Tokens that do not pass, brought in every way there is."""
    answers: Answers = Counter()
    forged = token(CANARY, secret="x" * 40)
    for number in range(count):
        bad = (f"{CANARY}-{number}", forged, token(CANARY, lifetime=-3600))[number % 3]
        way = number // 3 % 4
        query = f"?token={bad}" if way == 0 else ""
        fields = {
            1: [f"Authorization: Bearer {bad}"],
            2: [f"Sec-WebSocket-Protocol: channeld, bearer.{bad}"],
        }
        with ground.raw().open(f"/private{query}", *fields.get(way, ())) as client:
            if way == 3:
                client.pour([say("authenticate", token=bad)])
            answers += client.part().answers
    return answers


def churn(ground: Ground, count: int) -> Answers:
    """Come, join, speak, and go: with a Close frame, without, by reset, or before the answer."""
    answers: Answers = Counter()
    for number in range(count):
        client = ground.raw()
        if number % 5 == 4:
            client.pour([head(f"/hall/{number % 7}")])
            client.reset()
            continue
        client.open(f"/hall/{number % 7}", rest=say("say", text="hello"))
        # All come from one address, so the later ones are charged what the earlier ones used up.
        client.read_until("say", "RATE_LIMITED")
        answers += client.answers
        if number % 5 == 3:
            client.reset()
        else:
            client.socket.close()
    return answers


def frozen(ground: Ground, count: int) -> Answers:
    """A process with open connections is stopped: TCP still answers for it, but nobody pongs."""
    start = len(ground.served.err.lines)
    arguments = [sys.executable, "-c", _STUBBORN, str(ground.port), ground.source, str(count)]
    with subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            process.send_signal(signal.SIGSTOP)
            _wait_closed(ground, count, start)
        finally:
            process.kill()
    return Counter({"closed 1006": ground.closed_with(1006, start)})


def vanished(ground: Ground, count: int) -> Answers:
    """Connections whose other end is gone without a FIN."""
    start = len(ground.served.err.lines)
    for _ in range(count):
        ground.raw().open("/echo").vanish()
    _wait_closed(ground, count, start)
    return Counter({"closed 1006": ground.closed_with(1006, start)})


def _wait_closed(ground: Ground, count: int, start: int) -> None:
    ground.served.err.wait_for(lambda _: ground.closed_with(1006, start) >= count, start)


def can_vanish() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0


def too_many_files(ground: Ground, count: int) -> Answers:
    """More connections than the server may have descriptors; then most of them go, and others can come."""
    clients = [ground.raw() for _ in range(count)]
    for client in clients:
        client.pour([head("/echo")], reads=False)
    answers: Answers = Counter(accept_failed=bool(ground.served.event("accept_failed")))
    for client in clients:
        client.socket.close()
    deadline = time.monotonic() + PATIENCE
    while not answers["echo"]:
        assert time.monotonic() < deadline
        with contextlib.suppress(OSError), ground.raw() as late:
            late.open("/echo", rest=say("echo"))
            answers += late.read_until("echo").answers
    return answers

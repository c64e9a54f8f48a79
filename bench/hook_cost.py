"""Measures what a message costs that a local backend's hook looks at: `python bench/hook_cost.py [--docs] [--against PATH]`.

A message is echoed to its sender, once as it is and once after a hook over HTTP that answers 204 or a JSON object at once. What is
measured is the CPU time of channeld alone, by its process's clock, the least of many rounds: with one client, which waits for each
answer, so that every step wakes a process that slept, and with eight.
"""

import argparse
import contextlib
import multiprocessing
import selectors
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from catalogue import ROOT
from newest import cpu, join, serving
from page_marks import write_into
from report import commit, machine

PAGE = ROOT / "docs" / "guides" / "backends.md"
ROUNDS, MESSAGES = 200, 160
CLIENTS = (1, 8)
ANSWERS = {
    b"/nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    b"/empty": b"HTTP/1.1 200 OK\r\ndate: Sat, 28 Nov 2026 12:00:00 GMT\r\nserver: uvicorn\r\n"
    b"content-length: 2\r\ncontent-type: application/json\r\n\r\n{}",
}
SCHEMA = "{type: object, required: [text], properties: {text: {type: string}}}"
CONFIG = f"""
channeld: 1
server:
  bind: "127.0.0.1:PORT"
  limits: {{messages: {{limit: 1000000/s, burst: 1000000}}}}
log: {{format: json, level: warning}}
backends: {{app: {{url: "http://127.0.0.1:BACKEND", secret: {{file: SECRET}}}}}}
channels:
  room:
    path: /room
    description: Messages with a hook, and without.
    auth: none
    messages:
      plain: {{schema: {SCHEMA}, route: sender}}
      nothing: {{schema: {SCHEMA}, route: sender, hook: {{backend: app, path: /nothing}}}}
      empty: {{schema: {SCHEMA}, route: sender, hook: {{backend: app, path: /empty}}}}
"""
WORKS = {
    "plain": "without a hook",
    "nothing": "with a hook that answers 204",
    "empty": "with a hook that answers `{}`, with the headers of a framework",
}


def answer(listener: socket.socket) -> None:
    """The backend: every request is answered at once, by its path. Runs until it is ended."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                selector.register(listener.accept()[0], selectors.EVENT_READ)
                continue
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            # Requests this small come in one piece, and one at a time.
            asked = sock.recv(65536)
            if asked:
                sock.send(ANSWERS[asked.split(b" ", 2)[1]])
            else:
                selector.unregister(sock)
                sock.close()


@contextlib.contextmanager
def answering() -> Iterator[int]:
    """The port of a backend, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        backend = multiprocessing.get_context("fork").Process(target=answer, args=(listener,))
        backend.start()
        try:
            yield listener.getsockname()[1]
        finally:
            backend.terminate()
            backend.join()


def drive(port: int, pid: int, type: str, clients: int) -> float:
    """Microseconds of the server's CPU for one message, the least of the rounds."""
    members = [join(port, "/room").socket for _ in range(clients)]
    text = b'{"type":"%s","text":"hello"}' % type.encode()
    # A mask of zeros is a mask (RFC 6455 section 5.3), and costs the client nothing.
    frame = bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text
    for member in members:
        member.setblocking(True)
    found = []
    for _ in range(ROUNDS):
        before = cpu(pid)
        for _ in range(MESSAGES // clients):
            for member in members:
                member.send(frame)
            for member in members:
                member.recv(65536)
        found.append((cpu(pid) - before) / MESSAGES * 1e6)
    for member in members:
        member.close()
    return min(found)


def measure(source: Path) -> dict[tuple[str, int], float]:
    """Every work with each number of clients, on the channeld of a checkout."""
    secret = ROOT / "bench" / "build" / "hook-secret"
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("a-secret-of-the-bench-and-of-nobody-else")
    with answering() as backend:
        config = CONFIG.replace("BACKEND", str(backend)).replace("SECRET", str(secret))
        with serving(config, source) as (port, pid):
            time.sleep(0.2)
            return {
                (work, clients): drive(port, pid, work, clients)
                for clients in CLIENTS
                for work in WORKS
            }


def table(found: dict[tuple[str, int], float]) -> str:
    """The figures as Markdown."""
    about = machine()
    return "\n".join(
        [
            f"Microseconds of channeld's CPU for one message, the least of {ROUNDS} rounds; {about['date']}, commit {commit()}, {about['cpu']}, Python",
            f"{about['python']}, by `python bench/hook_cost.py --docs`.",
            "",
            "| | one client that waits for each answer | eight clients |",
            "|---|---|---|",
            *(
                f"| {title} | {found[work, 1]:.0f} | {found[work, 8]:.0f} |"
                for work, title in WORKS.items()
            ),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout, measured before this one")
    parser.add_argument("--docs", action="store_true", help=f"write the table into {PAGE.name}")
    options = parser.parse_args()
    if options.against is not None:
        print(f"{options.against}:\n\n{table(measure(options.against))}\n")
    text = table(measure(ROOT))
    print(text)
    if options.docs:
        write_into(PAGE, "hooks", text)


if __name__ == "__main__":
    main()

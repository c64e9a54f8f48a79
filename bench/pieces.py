"""Measures what one echo costs, piece by piece, without sockets: `python bench/pieces.py [--with PYTHON]... [--docs]`.

Each figure is the least of many rounds, so it says what is spent where on a warm path, not what a server under load takes.
`--with` adds the same of another interpreter, with the channeld that it has (a compiled wheel, say) or else this source.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio
from catalogue import ROOT, SECRET
from page_marks import write_into
from report import commit, machine, number, table
from works import message_file

from channeld.engine.limits import take
from channeld.hub import hub
from channeld.plan.load import load_plan
from channeld.protocol.frames import decode, encode
from channeld.protocol.websocket import Scanner, encode_text
from channeld.testing import running

PAGE = ROOT / "docs" / "topics" / "performance.md"
PIECES = {
    "scan": ("scan and unmask the WebSocket frame", "`protocol/websocket.py`"),
    "decode": ("decode the JSON, strictly", "`protocol/frames.py`"),
    "limit": ("token bucket", "`engine/limits.py`"),
    "schema": ("JSON Schema, yes or no", "`schema/compiled.py`, by jsonschema-rs"),
    "rest": ("find the type, route, count", "`engine/receive.py`, `engine/routing.py`"),
    "encode": ("encode again", "orjson"),
    "frame": ("frame it", "`protocol/websocket.py`"),
}
CHAT = {"type": "chat", "text": "the quick brown fox jumps over the lazy dog " + "." * 31}


def least(work: Callable[[], object]) -> float:
    """Microseconds of a call."""
    count = 100
    return min(timeit.repeat(work, number=count, repeat=200)) / count * 1e6


class _Deaf:
    """Takes what a scanner reads."""

    def receive(self, _text: bytes, _now: float) -> None:
        pass

    def respond(self, _data: bytes) -> None:
        pass


async def pieces(path: str, text: bytes) -> dict[str, float]:
    """Microseconds of each piece for one message."""
    plan = load_plan(str(ROOT / "bench" / "channels.yaml"), {"CHANNELD_BENCH_SECRET": SECRET})
    async with running(plan) as app:
        client = await app.connect(path)
        session = client.session
        key = bytes((1, 2, 3, 4))
        masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(text))
        size = bytes((0x80 | len(text),)) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2)
        sent = b"\x81" + size + key + masked
        scanner = Scanner(_Deaf(), _Deaf(), 1 << 20)
        frame, rate = decode(text, 64), session.channel.limits.messages
        message = session.channel.messages[frame["type"]]
        fields = {name: value for name, value in frame.items() if name != "type"}
        if not message.accepts(fields):
            sys.exit(f"{path} does not take its message")
        client.peer_send = lambda _frame: None  # type: ignore[method-assign]
        found = {
            "scan": least(lambda: scanner.feed(sent, 0.0, 1)),
            "decode": least(lambda: decode(text, 64)),
            "limit": least(lambda: take(0.0, 1.0, rate)),
            "schema": least(lambda: message.accepts(fields)),
            "encode": least(lambda: encode(frame)),
            "frame": least(lambda: encode_text(text)),
        }
        whole = least(lambda: session.receive(text, 1e6))
        parts = sum(found[name] for name in ("decode", "limit", "schema", "encode"))
        found["rest"] = max(whole - parts, 0.0)
    return found


def own() -> dict[str, object]:
    """The figures of this interpreter."""
    kind = "compiled" if str(hub.__file__).endswith(".so") else "pure"
    event = message_file("event").read_bytes()
    chat = json.dumps(CHAT, separators=(",", ":")).encode()
    measured = [trio.run(pieces, "/echo", chat), trio.run(pieces, "/event", event)]
    return {"title": f"Python {platform.python_version()}, {kind}", "measured": measured}


def of_another(python: Path) -> dict[str, object]:
    """The figures of another interpreter."""
    ask = "import importlib.util as it; print(it.find_spec('channeld') is None)"
    bare = os.environ | {"PYTHONPATH": ""}
    lacks = subprocess.check_output([python, "-P", "-c", ask], env=bare, text=True, cwd="/")
    path = f"{ROOT / 'bench'}" + (f":{ROOT}" if lacks.strip() == "True" else "")
    command = [str(python), "-P", __file__, "--json"]
    told = subprocess.check_output(command, env=os.environ | {"PYTHONPATH": path}, text=True)
    found: dict[str, object] = json.loads(told)
    return found


def shown(all_of: list[dict[str, Any]]) -> str:
    """The table: for each interpreter a message of 100 bytes and one of 3 KB."""
    header = ["piece"]
    for one in all_of:
        header += [f"{one['title']}: 100 bytes", "3 KB, nested"]
    rows = [
        [title, *(number(found[name], 2) for one in all_of for found in one["measured"]), where]
        for name, (title, where) in PIECES.items()
    ]
    sums = [number(sum(found.values()), 1) for one in all_of for found in one["measured"]]
    about = machine()
    text = (
        f"µs, the least of 200 rounds; {about['date']}, commit {commit()}, {about['cpu']}, "
        "by `python bench/pieces.py --docs`."
    )
    return f"{text}\n\n{table([*header, 'where'], [*rows, ['together', *sums, '']])}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with", type=Path, action="append", default=[], dest="others")
    parser.add_argument("--json", action="store_true", help="only this interpreter's, as JSON")
    parser.add_argument("--docs", action="store_true", help=f"write it into {PAGE.name}")
    options = parser.parse_args()
    if options.json:
        print(json.dumps(own()))
        return
    text = shown([own(), *map(of_another, options.others)])
    print(text)
    if options.docs:
        write_into(PAGE, "pieces", text)


if __name__ == "__main__":
    sys.exit(main())

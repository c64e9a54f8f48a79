"""A backend that receives channeld's webhooks, using only Python's standard library.

    CHANNELD_WEBHOOK_SECRET=… python webhook_receiver.py 8080

It checks the signature, skips events that it has already seen, and prints the rest.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOLERANCE = 300
"""Seconds that a request may be old, or ahead of this machine's clock."""
LARGEST = 1024 * 1024
REMEMBERED = 100_000


def key_of(secret: str) -> bytes:
    """What signs: base64 after `whsec_`, or the secret as it stands."""
    plain = secret.removeprefix("whsec_")
    return secret.encode() if plain == secret else base64.b64decode(plain)


def is_signed(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: float,
    tolerance: float = TOLERANCE,
) -> bool:
    """Whether the signature fits the body (its bytes as they came) and one of the secrets, and is not old."""
    id, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (moment.isascii() and moment.isdigit()) or abs(now - int(moment[:15])) > tolerance:
        return False
    signed = f"{id}.{moment}.".encode() + body
    wanted = [hmac.new(key_of(secret), signed, hashlib.sha256).digest() for secret in secrets]
    return any(
        # As bytes: of texts, compare_digest takes ASCII only.
        hmac.compare_digest(b"v1," + base64.b64encode(one), given.encode())
        for one in wanted
        for given in headers.get("webhook-signature", "").split()
    )


class Seen:
    """Remembers the latest ids. A real backend keeps them where it keeps what the events have changed."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, id: str) -> bool:
        """Whether an id is new."""
        if id in self._ids:
            return False
        self._ids[id] = None
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)
        return True


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 when everything was noted: then channeld forgets it."""

    protocol_version = "HTTP/1.1"
    secrets: Sequence[str] = ()
    seen = Seen()

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(int(length))
        headers = {name.lower(): text for name, text in self.headers.items()}
        if not is_signed(headers, body, self.secrets, time.time()):
            return self.answer(401)
        for event in json.loads(body)["events"]:
            if self.seen.add(event["id"]):
                self.note(event)
        return self.answer(204)

    def note(self, event: dict[str, Any]) -> None:
        print(json.dumps(event), flush=True)  # noqa: T201 - it is all that this backend does

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    # While a secret is being changed there are two, with a comma between them.
    Receiver.secrets = os.environ["CHANNELD_WEBHOOK_SECRET"].split(",")
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()


if __name__ == "__main__":
    main()

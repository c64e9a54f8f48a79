"""Servers for the clients: one that answers what it is told to, and keeps what it was asked."""

import json
from collections.abc import Callable
from typing import Any

import httpx2

KEY = "a-key-of-exactly-thirty-two-char"


class Server:
    """Gives its answers in their order, the last one again and again; an exception is raised."""

    def __init__(self, *answers: tuple[int, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        if isinstance(body, bytes):
            return httpx2.Response(status, content=body)
        return httpx2.Response(status, json=body, headers=_retry(status))

    @property
    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def sleep_async(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def body(self) -> Any:
        return json.loads(self.asked[-1].content)

    def path(self) -> str:
        return self.asked[-1].url.raw_path.decode()


def _retry(status: int) -> dict[str, str]:
    return {"retry-after": "2"} if status == 503 else {}


Answer = Callable[[], tuple[int, Any]]

ROOM = {"room": "a", "connections": 1}
MEMBER = {"id": "c", "user": None, "since": "2026-01-01T00:00:00.000Z", "address": "", "node": "n"}
CONNECTION = {**MEMBER, "channel": "x", "rooms": ["a"]}
del CONNECTION["user"]
CHANNEL = {
    "name": "x",
    "path": "/x",
    "description": "",
    "auth": [],
    "messages": ["say"],
    "events": None,
    "presence": False,
    "history": None,
    "connections": 0,
    "rooms": 0,
}
PROBLEM = {
    "type": "about:blank",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "no",
    "errors": [{"path": "/text", "message": "is too long", "keyword": "maxLength"}],
}

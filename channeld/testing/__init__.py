"""The real engine in memory: no socket, virtual time. For hook authors, scenarios and channeld's own tests.

    async with running("channels.yaml") as app:
        ann = await app.connect("/rooms/general", user="ann", claims={"name": "Ann"})
        await ann.send({"type": "message", "text": "hi"})
        assert (await ann.receive("message"))["text"] == "hi"
        await app.advance(3600)

Plan, engine, hub, broker, hooks, limits and timers are those of the server. Two things differ: handshakes are not parsed (the
path is matched, and refused as in the server), and `user=` admits a client with claims that nobody signed. Everything
else about tokens holds (expiry, `require`), and claims that the schema refuses raise `ClaimsRefused`. Time moves only in `advance`. A
hook that sleeps on trio's clock wakes by that clock, so run such tests on `trio.testing.MockClock`, which `advance` moves along.

Read `virtual.py` (time and randomness), `client.py` (one connection), `app.py` (the engine and its users).
"""

from channeld.testing.app import TestApp, TestRequest, running
from channeld.testing.client import ClaimsRefused, Client, NotReceived, Refused
from channeld.testing.virtual import START, VirtualClock, VirtualRuntime

__all__ = [
    "START",
    "ClaimsRefused",
    "Client",
    "NotReceived",
    "Refused",
    "TestApp",
    "TestRequest",
    "VirtualClock",
    "VirtualRuntime",
    "running",
]

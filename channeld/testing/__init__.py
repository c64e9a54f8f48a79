"""The real engine in memory: no socket, virtual time. For hook authors, scenarios and channeld's own tests.

    async with running("channels.yaml") as app:
        ann = await app.connect("/rooms/general", user="ann", claims={"name": "Ann"})
        await ann.send({"type": "message", "text": "hi"})
        assert (await ann.receive("message"))["text"] == "hi"
        await app.advance(3600)

What is as in the server: plan, engine, hub, broker, hooks, limits, timers. What is not: handshakes are not parsed (the
path is matched, and refused like there), and `user=` lets a client in with claims that nobody signed; everything
else about tokens (expiry, `require`) holds, and claims that the schema refuses raise `ClaimsRefused`. Time moves only in `advance`; a hook that sleeps on trio's
clock wakes when trio's clock says so, so run such tests on `trio.testing.MockClock`, which `advance` moves along.

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

"""Sockets: everything between a client's bytes and the engine's sessions. No JSON is looked at here.

Rules: `connection.py` says what bytes mean and never waits; `lane.py` and `portable.py` wait and never ask what bytes
mean; whatever is written goes through an outbox; an exception from above or below ends one connection.

Reading order: `ports.py` (what is asked of others), `states.py` (the map), `connection.py`, `outbox.py`, `lane.py`,
`portable.py`, `listener.py`. The opening handshake: `head.py`, `handshake.py`, `origins.py`, `extensions.py`, `gate.py`.
The rare half of the protocol: `slow.py`, `deflate.py`. Beside them: `runtime.py`, `jwks.py`.
"""

from channeld.server.admission import Admission, Counters
from channeld.server.listener import BindError, Server, ServerStatistics, bind, tls_context
from channeld.server.outbox import Fanout
from channeld.server.ports import Engine, Session
from channeld.server.runtime import TrioClock, TrioRuntime

__all__ = [
    "Admission",
    "BindError",
    "Counters",
    "Engine",
    "Fanout",
    "Server",
    "ServerStatistics",
    "Session",
    "TrioClock",
    "TrioRuntime",
    "bind",
    "tls_context",
]

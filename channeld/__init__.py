"""channeld: a WebSocket channel server that is declared, not programmed. Hook authors import from here."""

from channeld.hooks import Context, Reject, Request, Server, SyncContext, ThreadServer, User

__all__ = [
    "Context",
    "Reject",
    "Request",
    "Server",
    "SyncContext",
    "ThreadServer",
    "User",
    "__version__",
]

__version__ = "0.1.0"

"""channeld: a WebSocket channel server that is declared, not programmed. Hook authors import from here.

Reading order, from the bottom to the top (ARCHITECTURE.md describes each):

- the ground: `protocol/` (codes, frames, the bytes of RFC 6455), `pointer.py`, `suggest.py`, `groups.py`, `later.py`, `timers.py`,
  `diagnostics/` (findings), `telemetry/` (logs and metrics)
- before the server starts: `config/` (text to model), `schema/` (JSON Schema), `auth/` (authenticators), `plan/` (model to plan)
- while it runs: `broker/`, `hub/`, `engine/`, `cluster/`, `server/`, `webhooks/`, `api/`, `shadow/`, put together in `app.py`
- for hook authors: `hooks.py`, `testing/`, `pytest_plugin.py`; for applications: `client/`
- tools: `dev/`, `export/`, `diff/`, `scenarios/`, `lsp/`, and the commands in `cli/`
"""

TYPE_CHECKING = False  # as `typing` has it, which takes a command longer to import than all of this
if TYPE_CHECKING:
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


def __getattr__(name: str) -> object:
    # Imported when asked for: a command minds signals a tenth of a second earlier.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from channeld import hooks  # noqa: PLC0415 - see above

    value: object = getattr(hooks, name)
    globals()[name] = value
    return value

"""The table of log events and the way they are written: one structured line for each decision.

For people on a terminal, JSON everywhere else. structlog takes 190 ms to import, so it is imported with the first line:
checking a file needs none.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Literal, TextIO, TypeAlias

import attrs

from channeld.telemetry.line_rates import LineRates, Source
from channeld.telemetry.lines import (
    ConsoleRenderer,
    as_json,
    cleaned,
    stamped,
    usual_line,
    with_traceback,
)
from channeld.telemetry.output import put

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, Processor

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Format: TypeAlias = Literal["auto", "console", "json"]
_LEVELS: Final[Mapping[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


@attrs.frozen(slots=True)
class LogEvent:
    """One kind of log line: its name, level, fields and meaning.

    `source` is the field to rate-limit by, if clients can cause such lines cheaply.
    """

    level: Level
    fields: tuple[str, ...]
    meaning: str
    source: Source | None = None


_WHO = ("connection", "channel", "user", "address")
_HOOK = ("hook", "connection", "channel", "user", "type", "reason", "ref")

EVENTS: Final[Mapping[str, LogEvent]] = {
    "server_started": LogEvent(
        "info", ("bind", "workers", "pid", "url"), "Connections are accepted."
    ),
    "drain_delayed": LogEvent(
        "info",
        ("seconds",),
        "Health checks fail from now on; for `seconds` everything else is served as before.",
    ),
    "server_draining": LogEvent(
        "info",
        ("connections", "seconds"),
        "No further connections are accepted; clients are disconnected.",
    ),
    "server_stopped": LogEvent("info", ("connections", "seconds"), "The last connection is gone."),
    "end_forced": LogEvent(
        "error",
        ("seconds",),
        "Something held up the end of the process for `seconds`: a blocking call, a shielded task or a thread of a hook's.",
    ),
    "config_reloaded": LogEvent("info", ("file", "channels", "closed"), "A new plan is in force."),
    "config_refused": LogEvent(
        "error", ("file", "errors", "reason"), "The old plan stays in force."
    ),
    "restart_needed": LogEvent(
        "warning",
        ("setting",),
        "A reload cannot change this setting; the old value stays in force.",
    ),
    "lifespan_changed": LogEvent(
        "warning", ("hook",), "A reload keeps the old lifespan; restart to change it."
    ),
    "connection_opened": LogEvent(
        "info", (*_WHO, "path"), "A handshake was accepted.", source="address"
    ),
    "connection_closed": LogEvent(
        "info",
        (*_WHO, "code", "reason", "seconds"),
        "A connection was closed, by either side.",
        source="address",
    ),
    "handshake_refused": LogEvent(
        "info",
        ("status", "reason", "path", "origin", "address"),
        "Answered without an upgrade.",
        source="address",
    ),
    "auth_refused": LogEvent(
        "info",
        (*_WHO, "authenticator", "reason", "path"),
        "No token, or an invalid one; the client is not told why.",
        source="address",
    ),
    "auth_unavailable": LogEvent(
        "warning",
        (*_WHO, "reason"),
        "A token could not be verified because of a problem on the server's side; the client is told to reconnect (1013).",
    ),
    "require_unmet": LogEvent(
        "info",
        (*_WHO, "message", "claim"),
        "The claims do not meet the `require` of the channel or message; `claim` is the missing entry.",
        source="address",
    ),
    "revoked": LogEvent(
        "info",
        ("revocation", "connections"),
        "Tokens of a user, or a single token, are refused from now on; `connections` were closed.",
    ),
    "message_refused": LogEvent(
        "debug", (*_WHO, "code"), "A client's frame was answered with an error frame of this code."
    ),
    "token_expired": LogEvent("info", _WHO, "A token expired and was not renewed."),
    "slow_consumer": LogEvent(
        "warning",
        (*_WHO, "bytes", "limit"),
        "An outbox exceeded its limit; closed with 4508.",
        source="address",
    ),
    "accept_failed": LogEvent(
        "error",
        ("bind", "reason", "errno", "exception"),
        "The operating system provides no more sockets.",
    ),
    "connection_failed": LogEvent(
        "error",
        (*_WHO, "reason", "exception", "ref"),
        "An error while serving a connection; only that connection is closed.",
    ),
    "task_failed": LogEvent(
        "error", ("task", "reason", "exception", "ref"), "A background task raised."
    ),
    "hook_failed": LogEvent(
        "error",
        (*_HOOK, "exception", "backend"),
        "A hook raised something other than Reject, or a backend's answer was malformed.",
        source="hook",
    ),
    "backend_failed": LogEvent(
        "warning",
        ("backend", "path", "reason"),
        "A backend did not answer a hook: no connection, too late, or no free slot in time.",
    ),
    "backend_away": LogEvent(
        "warning",
        ("backend", "reason", "seconds"),
        "A backend failed five times in a row; calls fail at once for `seconds`.",
    ),
    "backend_recovered": LogEvent(
        "info", ("backend",), "A backend that was unreachable answers again."
    ),
    "hook_timeout": LogEvent(
        "error", (*_HOOK, "seconds"), "A hook took longer than hook_timeout.", source="hook"
    ),
    "hook_slow": LogEvent(
        "warning", (*_HOOK, "seconds"), "A synchronous hook blocked all clients.", source="hook"
    ),
    "deprecated_message": LogEvent(
        "info",
        ("connection", "channel", "user", "message"),
        "A connection sent a deprecated type for the first time.",
    ),
    "internal_error": LogEvent(
        "error",
        (*_WHO, "type", "ref", "reason", "exception"),
        "A server bug; the client was given the `ref`.",
    ),
    "broker_unavailable": LogEvent(
        "error", ("reason", "retry_after", "exception"), "Messages are not routed."
    ),
    "broker_recovered": LogEvent("info", ("seconds", "rooms"), "The broker answers again."),
    "broker_shard_unavailable": LogEvent(
        "error", ("shard", "reason"), "Messages of the topics of this shard are not routed."
    ),
    "broker_shard_recovered": LogEvent("info", ("shard", "seconds"), "This shard answers again."),
    "broker_restarted": LogEvent(
        "error", ("status", "reason"), "The embedded Valkey exited and is being restarted."
    ),
    "node_silent": LogEvent(
        "warning",
        ("nodes", "question"),
        "Other nodes did not answer and are left out of an answer.",
    ),
    "plans_differ": LogEvent(
        "warning", ("nodes", "channels"), "These nodes declare these channels differently."
    ),
    "versions_differ": LogEvent(
        "error",
        ("own", "others"),
        "Nodes of other versions of channeld use the same prefix, and do each other harm.",
    ),
    "versions_agree": LogEvent("info", (), "All nodes of the prefix are of one version again."),
    "plans_agree": LogEvent("info", (), "All nodes serve the same channels again."),
    "log_level_changed": LogEvent(
        "info",
        ("threshold",),
        "SIGUSR1 or a reload: lines of this level and above are written from now on.",
    ),
    "tracing_off": LogEvent(
        "warning",
        ("reason",),
        "An endpoint for traces is set, but the packages to send them are not installed.",
    ),
    "spans_lost": LogEvent(
        "warning", ("spans", "reason"), "Spans could not be exported; they are lost."
    ),
    "library_warned": LogEvent(
        "warning",
        ("logger", "reason", "exception"),
        "A library or a hook warned through Python's `logging`, for which no handler is set.",
    ),
    "log_lines_dropped": LogEvent(
        "warning",
        ("lines",),
        "The log was not read fast enough, or could not be written; these lines are lost.",
    ),
    "log_lines_left_out": LogEvent(
        "warning",
        ("line", "address", "hook", "lines"),
        "A client's address or a hook writes this line faster than a disk should have it; these were left out. At most once a minute.",
    ),
    "worker_ended": LogEvent(
        "error", ("number", "pid", "status", "seconds"), "A worker process exited unexpectedly."
    ),
    "worker_hung": LogEvent(
        "error",
        ("number", "pid", "seconds"),
        "A worker's loop has not turned for as long as the service manager's watchdog allows; it is ended and replaced.",
    ),
    "worker_started": LogEvent("info", ("number", "pid"), "A worker process is serving."),
    "api_started": LogEvent("info", ("bind",), "The control API is listening."),
    "api_refused": LogEvent(
        "warning",
        ("status", "reason", "method", "path", "origin", "address"),
        "A request to the control API without a valid key, or from another site.",
    ),
    "jwks_refreshed": LogEvent(
        "info", ("authenticator", "url", "keys", "skipped"), "Keys were read."
    ),
    "webhook_failed": LogEvent(
        "warning",
        ("url", "delivery", "reason", "attempts", "retry_in", "waiting"),
        "A request failed and will be sent again.",
    ),
    "webhook_recovered": LogEvent(
        "info", ("url", "attempts"), "A webhook's requests succeed again."
    ),
    "webhook_dropped": LogEvent(
        "error",
        ("url", "events", "reason"),
        "Events were dropped: refused, too many, or the server stopped. At most once a minute.",
    ),
    "shadow_started": LogEvent(
        "info",
        ("version", "against", "hooks_not_called"),
        "Traffic is also checked against another configuration; the versions identify the files of both.",
    ),
    "shadow_refused": LogEvent(
        "info",
        ("channel", "message", "reason", "why", "example", "user", "connection"),
        "The other configuration would have refused something that was accepted; at most once a minute per channel, type and reason.",
    ),
    "shadow_summary": LogEvent(
        "info",
        ("since", "messages", "handshakes", "refused", "reasons"),
        "What the other configuration would have refused since the start, most frequent first.",
    ),
    "shadow_failed": LogEvent(
        "error",
        ("channel", "exception"),
        "The other configuration could not be checked for a connection: a server bug that clients do not notice.",
    ),
    "jwks_failed": LogEvent(
        "warning",
        ("authenticator", "url", "reason"),
        "Keys could not be read; the old ones stay in use.",
    ),
}
"""Every line that channeld itself writes; hook authors' own events are theirs."""


_is_silent_here: ContextVar[bool] = ContextVar("is_silent_here", default=False)


class _State:
    """How lines are written, set by `configure`. The threshold avoids calling structlog for lines that are not written."""

    threshold = 20
    is_silent = False
    settings: "_Settings | None" = None
    processors: "Sequence[Processor]" = ()
    rates: "LineRates | None" = None
    is_debugging = False


@attrs.frozen(slots=True)
class _Settings:
    """What `configure` was told."""

    format: Format = "auto"
    level: Level = "debug"
    stream: TextIO | None = None
    worker: int | None = None


def log(event: str, **fields: object) -> None:
    """Write one line; the level is the table's. `exception` may be an exception: its traceback is written.

    Raises:
        LookupError: for an event that the table does not have, unless Python runs with `-O`.
    """
    declared = EVENTS.get(event)
    if declared is None:
        if __debug__:
            raise LookupError(f"no log event is called {event!r}: add it to telemetry.EVENTS")
        declared = _UNDECLARED
    if _LEVELS[declared.level] >= _State.threshold and not _State.is_silent:
        if _is_silent_here.get():
            return
        source, rates = declared.source, _State.rates
        if rates is not None and source is not None and source in fields:
            lines = rates.take(event, source, str(fields[source]))
            if lines is not None:
                if lines:
                    told = {"line": event, source: fields[source], "lines": lines}
                    log("log_lines_left_out", **told)
                return
        _write(event, declared.level, fields)


def _write(event: str, level: Level, fields: dict[str, object]) -> None:
    """Process a line as structlog would, without creating a logger for each, which costs as much as the line."""
    import structlog  # noqa: PLC0415 - see bound()

    if structlog.get_config()["processors"] is not _State.processors:
        getattr(bound(), level)(event, **fields)  # not configured yet, or by somebody else
        return
    settings = _State.settings or _Settings()
    if _State.processors[-1] is as_json:
        named = {} if settings.worker is None else {"worker": settings.worker}
        usual = usual_line(event, level, fields | named)
        if usual is not None:
            put(usual, settings.stream)
            return
    line: EventDict = {"event": event, **fields}
    try:
        for process in _State.processors:
            line = process(None, level, line)
    except structlog.DropEvent:  # captured by structlog's test kit
        return
    put(str(line), settings.stream)


_UNDECLARED = LogEvent("warning", (), "An event that is missing from the table.")


def left_out() -> int:
    """The number of lines that this process left out because there were too many of their kind."""
    return _State.rates.left_out if _State.rates is not None else 0


def bound_lines(rates: LineRates | None) -> None:
    """Limit lines to these rates from now on; None: no limit."""
    _State.rates = rates


def bound(**fields: object) -> "FilteringBoundLogger":
    """A structlog logger whose lines all carry `fields`; what hook authors get as `ctx.log`."""
    import structlog  # noqa: PLC0415 - 190 ms that checking a file does not need

    if not structlog.is_configured():
        configure(level="debug")
        # Debug lines other than a hook's own are only written on request.
        _State.threshold = _LEVELS["info"]
    logger: FilteringBoundLogger = structlog.get_logger("channeld").bind(**fields)
    return logger


def configure(
    format: Format = "auto",
    level: Level = "info",
    stream: TextIO | None = None,
    *,
    worker: int | None = None,
) -> None:
    """Set the format, the minimum level and the destination of lines (None: `sys.stderr` at the time of writing).

    With several processes, each line has the number of its `worker`.

    `auto` is `console` on a terminal and `json` elsewhere. Colours need a terminal that is not `TERM=dumb`, and no `NO_COLOR` (no-color.org).
    """
    _State.settings, _State.is_debugging = _Settings(format, level, stream, worker), False
    _apply(_State.settings, level)


def _is_plain() -> bool:
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def _apply(settings: _Settings, level: Level) -> None:
    import structlog  # noqa: PLC0415 - see bound()

    from channeld.telemetry.unheard import listen  # noqa: PLC0415 - Python's logging, as little needed

    stream, worker = settings.stream, settings.worker
    output = stream if stream is not None else sys.stderr
    terminal = output.isatty()
    as_console = settings.format == "console" or (settings.format == "auto" and terminal)
    render = ConsoleRenderer(colour=terminal and not _is_plain()) if as_console else as_json
    _State.threshold = _LEVELS[level]
    listen(log)
    _State.processors = processors = [
        structlog.processors.add_log_level,
        stamped,
        with_traceback,
        *(() if worker is None else [lambda _logger, _name, fields: {**fields, "worker": worker}]),
        cleaned,
        render,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=False,
    )


def reconfigure(format: Format, level: Level) -> None:
    """Change the format and the minimum level, but not the destination, after a reload."""
    now = _State.settings or _Settings()
    configure(format, level, now.stream, worker=now.worker)
    log("log_level_changed", threshold=level)


def toggle_debug() -> None:
    """Toggle between all levels and the configured one. The change is logged itself."""
    settings = _State.settings or _Settings()
    _State.is_debugging = not _State.is_debugging
    if _State.is_debugging:
        _apply(settings, "debug")
        log("log_level_changed", threshold="debug")
    else:
        log("log_level_changed", threshold=settings.level)
        _apply(settings, settings.level)


@contextmanager
def silenced_here() -> Iterator[None]:
    """As `silenced`, but only in this context: a thread that a server gave a task to, and nobody else."""
    token = _is_silent_here.set(True)
    try:
        yield
    finally:
        _is_silent_here.reset(token)


@contextmanager
def silenced() -> Iterator[None]:
    """Write none of channeld's own lines during the block (hooks' own lines are still written)."""
    before, _State.is_silent = _State.is_silent, True
    try:
        yield
    finally:
        _State.is_silent = before


class _Lines:
    """The destination of lines. A log that cannot be written must not stop or delay the server, so the line is lost."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        put(line, self._stream)

    debug = info = warning = warn = error = critical = exception = fatal = log = msg

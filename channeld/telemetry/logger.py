"""Writes log lines, one structured line for each decision: for people on a terminal, as JSON everywhere else.

structlog takes 190 ms to import, so it is imported with the first line: checking a file needs none.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Literal, TextIO, TypeAlias

import attrs

from channeld.telemetry.events import EVENTS, Level, LogEvent
from channeld.telemetry.line_rates import LineRates
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

Format: TypeAlias = Literal["auto", "console", "json"]
_LEVELS: Final[Mapping[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


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


_UNDECLARED = LogEvent("warning", "", "An event that is missing from the table.")


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

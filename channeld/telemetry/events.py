"""The table of log events: the name, level, fields and meaning of every line that channeld writes."""

from collections.abc import Mapping
from functools import partial
from typing import Final, Literal, TypeAlias

import attrs

from channeld.telemetry.line_rates import Source

Level: TypeAlias = Literal["debug", "info", "warning", "error"]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@attrs.frozen(slots=True)
class LogEvent:
    """One kind of log line.

    `fields` are the names of its fields, and `source` is the one to rate-limit by if clients can cause such lines cheaply.
    """

    level: Level
    fields: tuple[str, ...] = attrs.field(converter=_names)
    meaning: str
    source: Source | None = None


_debug, _info = partial(LogEvent, "debug"), partial(LogEvent, "info")
_warning, _error = partial(LogEvent, "warning"), partial(LogEvent, "error")

_WHO: Final = "connection channel user address"
_HOOK: Final = "hook connection channel user type reason ref"

EVENTS: Final[Mapping[str, LogEvent]] = {
    "server_started": _info("bind workers pid url", "Connections are accepted."),
    "drain_delayed": _info(
        "seconds",
        "Health checks fail from now on; for `seconds` everything else is served as before.",
    ),
    "server_draining": _info(
        "connections seconds", "No further connections are accepted; clients are disconnected."
    ),
    "server_stopped": _info("connections seconds", "The last connection is gone."),
    "end_forced": _error(
        "seconds",
        "Something held up the end of the process for `seconds`: a blocking call, a shielded task or a thread of a hook's.",
    ),
    "config_reloaded": _info("file channels closed", "A new plan is in force."),
    "config_refused": _error("file errors reason", "The old plan stays in force."),
    "restart_needed": _warning(
        "setting", "A reload cannot change this setting; the old value stays in force."
    ),
    "lifespan_changed": _warning("hook", "A reload keeps the old lifespan; restart to change it."),
    "connection_opened": _info(f"{_WHO} path", "A handshake was accepted.", "address"),
    "connection_closed": _info(
        f"{_WHO} code reason seconds", "A connection was closed, by either side.", "address"
    ),
    "handshake_refused": _info(
        "status reason path origin address", "Answered without an upgrade.", "address"
    ),
    "auth_refused": _info(
        f"{_WHO} authenticator reason path",
        "No token, or an invalid one; the client is not told why.",
        "address",
    ),
    "auth_unavailable": _warning(
        f"{_WHO} reason",
        "A token could not be verified because of a problem on the server's side; the client is told to reconnect (1013).",
    ),
    "require_unmet": _info(
        f"{_WHO} message claim",
        "The claims do not meet the `require` of the channel or message; `claim` is the missing entry.",
        "address",
    ),
    "revoked": _info(
        "revocation connections",
        "Tokens of a user, or a single token, are refused from now on; `connections` were closed.",
    ),
    "message_refused": _debug(
        f"{_WHO} code", "A client's frame was answered with an error frame of this code."
    ),
    "token_expired": _info(_WHO, "A token expired and was not renewed."),
    "slow_consumer": _warning(
        f"{_WHO} bytes limit", "An outbox exceeded its limit; closed with 4508.", "address"
    ),
    "accept_failed": _error(
        "bind reason errno exception", "The operating system provides no more sockets."
    ),
    "connection_failed": _error(
        f"{_WHO} reason exception ref",
        "An error while serving a connection; only that connection is closed.",
    ),
    "task_failed": _error("task reason exception ref", "A background task raised."),
    "hook_failed": _error(
        f"{_HOOK} exception backend",
        "A hook raised something other than Reject, or a backend's answer was malformed.",
        "hook",
    ),
    "backend_failed": _warning(
        "backend path reason",
        "A backend did not answer a hook: no connection, too late, or no free slot in time.",
    ),
    "backend_away": _warning(
        "backend reason seconds",
        "A backend failed five times in a row; calls fail at once for `seconds`.",
    ),
    "backend_recovered": _info("backend", "A backend that was unreachable answers again."),
    "hook_timeout": _error(f"{_HOOK} seconds", "A hook took longer than hook_timeout.", "hook"),
    "hook_slow": _warning(f"{_HOOK} seconds", "A synchronous hook blocked all clients.", "hook"),
    "deprecated_message": _info(
        "connection channel user message", "A connection sent a deprecated type for the first time."
    ),
    "internal_error": _error(
        f"{_WHO} type ref reason exception", "A server bug; the client was given the `ref`."
    ),
    "broker_unavailable": _error("reason retry_after exception", "Messages are not routed."),
    "broker_recovered": _info("seconds rooms", "The broker answers again."),
    "broker_shard_unavailable": _error(
        "shard reason", "Messages of the topics of this shard are not routed."
    ),
    "broker_shard_recovered": _info("shard seconds", "This shard answers again."),
    "broker_restarted": _error(
        "status reason", "The embedded Valkey exited and is being restarted."
    ),
    "node_silent": _warning(
        "nodes question", "Other nodes did not answer and are left out of an answer."
    ),
    "plans_differ": _warning("nodes channels", "These nodes declare these channels differently."),
    "versions_differ": _error(
        "own others",
        "Nodes of different versions of channeld use the same prefix, and can do harm to each other.",
    ),
    "versions_agree": _info("", "All nodes of the prefix are of one version again."),
    "plans_agree": _info("", "All nodes serve the same channels again."),
    "log_level_changed": _info(
        "threshold", "SIGUSR1 or a reload: lines of this level and above are written from now on."
    ),
    "tracing_off": _warning(
        "reason", "An endpoint for traces is set, but the packages to send them are not installed."
    ),
    "spans_lost": _warning("spans reason", "Spans could not be exported; they are lost."),
    "library_warned": _warning(
        "logger reason exception",
        "A library or a hook warned through Python's `logging`, for which no handler is set.",
    ),
    "log_lines_dropped": _warning(
        "lines", "The log was not read fast enough, or could not be written; these lines are lost."
    ),
    "log_lines_left_out": _warning(
        "line address hook lines",
        "One client address or hook causes too many of this line; these were left out. At most once a minute.",
    ),
    "worker_ended": _error("number pid status seconds", "A worker process exited unexpectedly."),
    "worker_hung": _error(
        "number pid seconds",
        "A worker's loop has not turned for as long as the service manager's watchdog allows; it is ended and replaced.",
    ),
    "worker_started": _info("number pid", "A worker process is serving."),
    "api_started": _info("bind", "The control API is listening."),
    "api_refused": _warning(
        "status reason method path origin address",
        "A request to the control API without a valid key, or from another site.",
    ),
    "jwks_refreshed": _info("authenticator url keys skipped", "Keys were read."),
    "webhook_failed": _warning(
        "url delivery reason attempts retry_in waiting", "A request failed and will be sent again."
    ),
    "webhook_recovered": _info("url attempts", "A webhook's requests succeed again."),
    "webhook_dropped": _error(
        "url events reason",
        "Events were dropped: refused, too many, or the server stopped. At most once a minute.",
    ),
    "shadow_started": _info(
        "version against hooks_not_called",
        "Traffic is also checked against another configuration; the versions identify the files of both.",
    ),
    "shadow_refused": _info(
        "channel message reason why example user connection",
        "The other configuration would have refused something that was accepted; at most once a minute per channel, type and reason.",
    ),
    "shadow_summary": _info(
        "since messages handshakes refused reasons",
        "What the other configuration would have refused since the start, most frequent first.",
    ),
    "shadow_failed": _error(
        "channel exception",
        "The other configuration could not be checked for a connection: a server bug that clients do not notice.",
    ),
    "jwks_failed": _warning(
        "authenticator url reason", "Keys could not be read; the old ones stay in use."
    ),
}
"""Every line that channeld itself writes; hook authors' own events are theirs."""

"""The table of requests: method and path, who answers, what must be sent, what is answered; OpenAPI is made from it.

A path is matched by its segments, each percent-decoded once and after the path was cut, so that `%2F` in a room's name
is a character of the name.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import unquote_to_bytes

import attrs
from starlette.responses import Response

from channeld.api import answers, console_answers, forms, insight, revoking, verbs, views
from channeld.api.control import ApiRequest, Control
from channeld.api.forms import Schema
from channeld.protocol.frames import Json

__all__ = ["ROUTES", "Handler", "Route", "find"]

Handler: TypeAlias = Callable[[Control, ApiRequest], Awaitable["Response | Json"]]


@attrs.frozen(eq=False)
class Route:
    """One request, its handler, and what OpenAPI says about it.

    `errors` are the statuses it can be answered with, besides those that any request can. `may_be_pending`: 202 as well
    (`pending.py`). `is_open`: no key needed; if `is_private`, then only for a `Host` that is not a public name. `answer` is
    the schema of a JSON answer, or None. What is not `described` is the console's own and may change.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    query: Schema = forms.NO_QUERY
    body: Schema | None = None
    answer: Schema | None = None
    errors: tuple[int, ...] = ()
    may_be_pending: bool = False
    is_open: bool = False
    is_private: bool = False
    described: bool = True

    @property
    def segments(self) -> Sequence[str]:
        """The path, cut."""
        return self.path.split("/")[1:]


_console = partial(Route, described=False)

ROUTES: Final[Sequence[Route]] = (
    Route(
        "POST",
        "/v1/publish",
        verbs.publish,
        "Send an event to a room, a user, or everyone on a channel",
        body=forms.PUBLISH,
        answer=answers.PUBLISHED,
        errors=(404, 422, 503),
    ),
    Route(
        "POST",
        "/v1/batch",
        verbs.batch,
        "Publish up to 1,000 events, each with its own result, in order",
        body=forms.BATCH,
        answer=answers.BATCH,
    ),
    Route(
        "POST",
        "/v1/disconnect",
        verbs.disconnect,
        "Close a connection, or all connections of a user",
        body=forms.DISCONNECT,
        answer=answers.COUNT,
        may_be_pending=True,
        errors=(503,),
    ),
    Route(
        "POST",
        "/v1/subscribe",
        verbs.subscribe,
        "Add a connection, or a user's connections on a channel, to a room",
        body=forms.MEMBERSHIP,
        answer=answers.COUNT,
        may_be_pending=True,
        errors=(404, 503),
    ),
    Route(
        "POST",
        "/v1/unsubscribe",
        verbs.unsubscribe,
        "Remove a connection, or a user's connections on a channel, from a room",
        body=forms.MEMBERSHIP,
        answer=answers.COUNT,
        may_be_pending=True,
        errors=(404, 503),
    ),
    Route(
        "POST",
        "/v1/revoke",
        revoking.revoke,
        "Refuse the JWTs of a user, or a single JWT, from now on, and close their connections",
        body=forms.REVOKE,
        answer=answers.REVOKED,
        may_be_pending=True,
        errors=(409, 503),
    ),
    Route(
        "GET",
        "/v1/revocations",
        revoking.revocations,
        "List revocations, by id",
        query=forms.PAGE_QUERY,
        answer=answers.REVOCATIONS,
    ),
    Route(
        "DELETE",
        "/v1/revocations/{id}",
        revoking.restore,
        "Withdraw a revocation",
        answer=answers.RESTORED,
        errors=(404, 503),
    ),
    Route(
        "GET",
        "/v1/channels",
        views.channels,
        "List the declared channels, with their numbers of connections and rooms",
        answer=answers.CHANNELS,
        errors=(503,),
    ),
    Route(
        "GET",
        "/v1/channels/{channel}",
        views.channel,
        "Show one channel",
        answer=answers.CHANNEL,
        errors=(404, 503),
    ),
    Route(
        "GET",
        "/v1/channels/{channel}/rooms",
        views.rooms,
        "List the rooms that have members, by name",
        query=forms.PAGE_QUERY,
        answer=answers.ROOMS,
        errors=(404, 503),
    ),
    Route(
        "GET",
        "/v1/channels/{channel}/rooms/{room}",
        views.room,
        "List the connections in a room; an empty room has none",
        query=forms.PAGE_QUERY,
        answer=answers.ROOM,
        errors=(404, 503),
    ),
    Route(
        "GET",
        "/v1/channels/{channel}/rooms/{room}/presence",
        views.presence,
        "List the users in a room, as its members see them",
        query=forms.PAGE_QUERY,
        answer=answers.PRESENCE,
        errors=(404, 503),
    ),
    Route(
        "GET",
        "/v1/channels/{channel}/rooms/{room}/history",
        views.history,
        "Read the latest frames of a room, oldest first",
        query=forms.HISTORY_QUERY,
        answer=answers.HISTORY,
        errors=(404, 503),
    ),
    Route(
        "DELETE",
        "/v1/channels/{channel}/rooms/{room}/history",
        verbs.clear,
        "Remove the stored frames of a room, or the newest one of a key, without telling its members",
        query=forms.CLEAR_QUERY,
        answer=answers.CLEARED,
        errors=(404, 503),
    ),
    Route(
        "GET",
        "/v1/users/{user}",
        views.user,
        "Show whether a user is online, and through which connections",
        query=forms.PAGE_QUERY,
        answer=answers.USER,
        errors=(404, 503),
    ),
    Route(
        "GET",
        "/health/live",
        views.live,
        "Whether the process is alive",
        answer=answers.HEALTH,
        is_open=True,
    ),
    Route(
        "GET",
        "/health/ready",
        views.ready,
        "Whether the server accepts clients: not while draining, nor while the broker is unreachable",
        answer=answers.HEALTH,
        errors=(503,),
        is_open=True,
    ),
    Route(
        "GET",
        "/metrics",
        views.metrics,
        "Metrics for Prometheus",
        errors=(503,),
        is_open=True,
        is_private=True,
    ),
    _console("GET", "/", console_answers.page, "The console", is_open=True),
    _console(
        "GET",
        "/go/{code}",
        console_answers.follow,
        "A short link of a development server",
        is_open=True,
    ),
    _console(
        "GET",
        "/chat.html",
        console_answers.chat,
        "The example's chat page, on a development server",
        is_open=True,
    ),
    _console(
        "GET",
        "/console/files/{file}",
        console_answers.file,
        "A file of the console's page",
        is_open=True,
    ),
    _console(
        "GET",
        "/console/setup",
        console_answers.setup,
        "What the console shows of the configuration",
    ),
    _console("GET", "/console/pulse", console_answers.pulse, "The current numbers"),
    _console("GET", "/console/past", insight.past, "The numbers of the last minutes"),
    _console("GET", "/console/busy", insight.busy, "The largest rooms and the slowest clients"),
    _console(
        "GET",
        "/console/connections/{connection}",
        insight.connection,
        "One connection, with what it may still send",
    ),
    _console(
        "POST",
        "/console/check",
        console_answers.check,
        "Why a message would be refused",
        body=forms.CHECK,
    ),
    _console(
        "POST",
        "/console/trace",
        console_answers.trace,
        "What happens to a message, step by step",
        body=forms.TRACE,
    ),
    _console(
        "POST", "/console/token", console_answers.token, "A token for development", body=forms.TOKEN
    ),
    _console(
        "GET",
        "/console/tail/{channel}/{room}",
        console_answers.tail,
        "A room's frames as they come (text/event-stream)",
    ),
)


def find(raw_path: bytes, routes: Sequence[Route]) -> tuple[list[Route], Mapping[str, str]]:
    """The routes of a path, one for each method, and the path's parameters; none: there is no such path."""
    try:
        segments = [
            unquote_to_bytes(segment).decode()
            for segment in raw_path.removeprefix(b"/").split(b"/")
        ]
    except UnicodeDecodeError:
        return [], {}
    found: list[Route] = []
    params: dict[str, str] = {}
    for route in routes:
        if len(route.segments) == len(segments):
            pairs = list(zip(route.segments, segments, strict=True))
            if all(name.startswith("{") or name == given for name, given in pairs):
                found.append(route)
                params = {name[1:-1]: given for name, given in pairs if name.startswith("{")}
    return found, params

"""The table of requests: method, path, handler, request and answer; OpenAPI is made from it.

A path is split first, and each segment percent-decoded once, so that `%2F` in a room's name is part of the name.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

import attrs
from starlette.responses import Response

from channeld.api import answers, console_answers, forms, insight, revoking, verbs, views
from channeld.api.control import ApiRequest, Control
from channeld.api.forms import Schema
from channeld.api.problems import Problem
from channeld.plan.path_syntax import decode
from channeld.protocol.frames import Json

Handler: TypeAlias = Callable[[Control, ApiRequest], Awaitable["Response | Json"]]


@attrs.frozen(eq=False)
class Route:
    """One kind of request, its handler, and its OpenAPI description.

    `errors` are its error statuses besides those of any request. `may_be_pending`: also 202 (`responses.py`). `is_open`:
    needs no key; with `is_private`, only for a `Host` that is not a public name. `answer` is the schema of a JSON answer,
    or None. Routes that are not `described` are for the console and may change.
    """

    method: str
    path: str
    handler: Handler
    query: Schema = forms.NO_QUERY
    body: Schema | None = None
    answer: Schema | None = None
    errors: tuple[int, ...] = ()
    may_be_pending: bool = False
    is_open: bool = False
    is_private: bool = False
    described: bool = True

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").partition("\n")[0].rstrip(".")

    @property
    def segments(self) -> Sequence[str]:
        """The segments of the path."""
        return self.path.split("/")[1:]


_console = partial(Route, described=False)

ROUTES: Final[Sequence[Route]] = (
    Route(
        "POST",
        "/v1/publish",
        verbs.publish,
        body=forms.PUBLISH,
        answer=answers.PUBLISHED,
        errors=(404, 422, 503),
    ),
    Route("POST", "/v1/batch", verbs.batch, body=forms.BATCH, answer=answers.BATCH),
    Route(
        "POST",
        "/v1/disconnect",
        verbs.disconnect,
        body=forms.DISCONNECT,
        answer=answers.COUNT,
        may_be_pending=True,
        errors=(503,),
    ),
    Route(
        "POST",
        "/v1/subscribe",
        verbs.subscribe,
        body=forms.MEMBERSHIP,
        answer=answers.COUNT,
        may_be_pending=True,
        errors=(404, 503),
    ),
    Route(
        "POST",
        "/v1/unsubscribe",
        verbs.unsubscribe,
        body=forms.MEMBERSHIP,
        answer=answers.COUNT,
        may_be_pending=True,
        errors=(404, 503),
    ),
    Route(
        "POST",
        "/v1/revoke",
        revoking.revoke,
        body=forms.REVOKE,
        answer=answers.REVOKED,
        may_be_pending=True,
        errors=(409, 503),
    ),
    Route(
        "GET",
        "/v1/revocations",
        revoking.revocations,
        query=forms.PAGE_QUERY,
        answer=answers.REVOCATIONS,
    ),
    Route(
        "DELETE",
        "/v1/revocations/{id}",
        revoking.restore,
        answer=answers.RESTORED,
        errors=(404, 503),
    ),
    Route("GET", "/v1/channels", views.channels, answer=answers.CHANNELS, errors=(503,)),
    Route(
        "GET", "/v1/channels/{channel}", views.channel, answer=answers.CHANNEL, errors=(404, 503)
    ),
    Route(
        "GET",
        "/v1/channels/{channel}/rooms",
        views.rooms,
        query=forms.PAGE_QUERY,
        answer=answers.ROOMS,
        errors=(404, 503),
    ),
    Route(
        "GET",
        "/v1/channels/{channel}/rooms/{room}",
        views.room,
        query=forms.PAGE_QUERY,
        answer=answers.ROOM,
        errors=(404, 503),
    ),
    Route(
        "GET",
        "/v1/channels/{channel}/rooms/{room}/presence",
        views.presence,
        query=forms.PAGE_QUERY,
        answer=answers.PRESENCE,
        errors=(404, 503),
    ),
    Route(
        "GET",
        "/v1/channels/{channel}/rooms/{room}/history",
        views.history,
        query=forms.HISTORY_QUERY,
        answer=answers.HISTORY,
        errors=(404, 503),
    ),
    Route(
        "DELETE",
        "/v1/channels/{channel}/rooms/{room}/history",
        verbs.clear,
        query=forms.CLEAR_QUERY,
        answer=answers.CLEARED,
        errors=(404, 503),
    ),
    Route(
        "GET",
        "/v1/users/{user}",
        views.user,
        query=forms.PAGE_QUERY,
        answer=answers.USER,
        errors=(404, 503),
    ),
    Route("GET", "/health/live", views.live, answer=answers.HEALTH, is_open=True),
    Route("GET", "/health/ready", views.ready, answer=answers.HEALTH, errors=(503,), is_open=True),
    Route("GET", "/metrics", views.metrics, errors=(503,), is_open=True, is_private=True),
    _console("GET", "/", console_answers.page, is_open=True),
    _console("GET", "/go/{code}", console_answers.follow, is_open=True),
    _console("GET", "/chat.html", console_answers.chat, is_open=True),
    _console("GET", "/console/files/{file}", console_answers.file, is_open=True),
    _console("GET", "/console/setup", console_answers.setup),
    _console("GET", "/console/pulse", console_answers.pulse),
    _console("GET", "/console/past", insight.past),
    _console("GET", "/console/busy", insight.busy),
    _console("GET", "/console/connections/{connection}", insight.connection),
    _console("POST", "/console/check", console_answers.check, body=forms.CHECK),
    _console("POST", "/console/trace", console_answers.trace, body=forms.TRACE),
    _console("POST", "/console/token", console_answers.token, body=forms.TOKEN),
    _console("GET", "/console/tail/{channel}/{room}", console_answers.tail),
)


def find(raw_path: bytes, routes: Sequence[Route]) -> tuple[list[Route], Mapping[str, str]]:
    """The routes of a path by method, and its path parameters; empty if the path is unknown.

    Raises:
        Problem: 400, the path is not percent-encoded UTF-8.
    """
    segments: list[str] = []
    for raw in raw_path.decode("latin-1").removeprefix("/").split("/"):
        segment = decode(raw) if raw.isascii() else None
        if segment is None:
            raise Problem(400, "the path is malformed, or not UTF-8")
        segments.append(segment)
    found: list[Route] = []
    params: dict[str, str] = {}
    for route in routes:
        if len(route.segments) == len(segments):
            pairs = list(zip(route.segments, segments, strict=True))
            if all(name.startswith("{") or name == given for name, given in pairs):
                found.append(route)
                params = {name[1:-1]: given for name, given in pairs if name.startswith("{")}
    return found, params

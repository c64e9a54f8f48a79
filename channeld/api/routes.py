"""The table of requests: method, path, handler, request and answer; OpenAPI is made from it.

A path is split first, and each segment percent-decoded once, so that `%2F` in a room's name is part of the name.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

import attrs
from starlette.responses import Response

from channeld.api import answers, console_answers, forms, insight, verbs, views
from channeld.api.control import ApiRequest, Control
from channeld.api.forms import Schema
from channeld.api.problems import Problem
from channeld.plan.path_syntax import decode
from channeld.protocol.frames import Json

Handler: TypeAlias = Callable[[Control, ApiRequest], Awaitable["Response | Json"]]


@attrs.frozen(eq=False)
class ApiRoute:
    """One kind of request, its handler, and its OpenAPI description.

    `errors` are its error statuses besides those of any request. `may_be_pending`: also 202 (`responses.py`). `is_open`:
    needs no key; with `is_private`, only for a `Host` that is not a public name. `answer` is the schema of a JSON answer,
    or None. Routes that are not `is_described` are for the console and may change.
    """

    method: str
    path: str
    handler: Handler
    answer: Schema | None = None
    errors: tuple[int, ...] = ()
    query: Schema = forms.NO_QUERY
    body: Schema | None = None
    may_be_pending: bool = False
    is_open: bool = False
    is_private: bool = False
    is_described: bool = True

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").partition("\n")[0].rstrip(".")

    @property
    def segments(self) -> Sequence[str]:
        """The segments of the path."""
        return self.path.split("/")[1:]


_get = partial(ApiRoute, "GET")
_post = partial(ApiRoute, "POST")
_delete = partial(ApiRoute, "DELETE")
_paged = partial(_get, query=forms.PAGE_QUERY)
_open = partial(_get, is_open=True)
_reaching = partial(_post, may_be_pending=True)

_CHANNEL: Final = "/v1/channels/{channel}"
_ROOM: Final = f"{_CHANNEL}/rooms/{{room}}"
_HISTORY: Final = f"{_ROOM}/history"

ROUTES: Final[Sequence[ApiRoute]] = (
    _post("/v1/publish", verbs.publish, answers.PUBLISHED, (404, 422, 503), body=forms.PUBLISH),
    _post("/v1/batch", verbs.batch, answers.BATCH, body=forms.BATCH),
    _reaching("/v1/disconnect", verbs.disconnect, answers.COUNT, (503,), body=forms.DISCONNECT),
    _reaching("/v1/subscribe", verbs.subscribe, answers.COUNT, (404, 503), body=forms.MEMBERSHIP),
    _reaching(
        "/v1/unsubscribe", verbs.unsubscribe, answers.COUNT, (404, 503), body=forms.MEMBERSHIP
    ),
    _reaching("/v1/revoke", verbs.revoke, answers.REVOKED, (409, 503), body=forms.REVOKE),
    _paged("/v1/revocations", verbs.revocations, answers.REVOCATIONS),
    _delete("/v1/revocations/{id}", verbs.restore, answers.RESTORED, (404, 503)),
    _get("/v1/channels", views.channels, answers.CHANNELS, (503,)),
    _get(_CHANNEL, views.channel, answers.CHANNEL, (404, 503)),
    _paged(f"{_CHANNEL}/rooms", views.rooms, answers.ROOMS, (404, 503)),
    _paged(_ROOM, views.room, answers.ROOM, (404, 503)),
    _paged(f"{_ROOM}/presence", views.presence, answers.PRESENCE, (404, 503)),
    _get(_HISTORY, views.history, answers.HISTORY, (404, 503), query=forms.HISTORY_QUERY),
    _delete(_HISTORY, verbs.clear, answers.CLEARED, (404, 503), query=forms.CLEAR_QUERY),
    _paged("/v1/users/{user}", views.user, answers.USER, (404, 503)),
    _open("/health/live", views.live, answers.HEALTH),
    _open("/health/ready", views.ready, answers.HEALTH, (503,)),
    _open("/metrics", views.metrics, errors=(503,), is_private=True),
    _open("/", console_answers.page, is_described=False),
    _open("/go/{code}", console_answers.follow, is_described=False),
    _open("/chat.html", console_answers.chat, is_described=False),
    _open("/console/files/{file}", console_answers.file, is_described=False),
    _get("/console/setup", console_answers.setup, is_described=False),
    _get("/console/pulse", console_answers.pulse, is_described=False),
    _get("/console/past", insight.past, is_described=False),
    _get("/console/busy", insight.busy, is_described=False),
    _get("/console/connections/{connection}", insight.connection, is_described=False),
    _post("/console/check", console_answers.check, body=forms.CHECK, is_described=False),
    _post("/console/trace", console_answers.trace, body=forms.TRACE, is_described=False),
    _post("/console/token", console_answers.token, body=forms.TOKEN, is_described=False),
    _get("/console/tail/{channel}/{room}", console_answers.tail, is_described=False),
)


def find(raw_path: bytes, routes: Sequence[ApiRoute]) -> tuple[list[ApiRoute], Mapping[str, str]]:
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
    found: list[ApiRoute] = []
    params: dict[str, str] = {}
    for route in routes:
        if len(route.segments) == len(segments):
            pairs = list(zip(route.segments, segments, strict=True))
            if all(name.startswith("{") or name == given for name, given in pairs):
                found.append(route)
                params = {name[1:-1]: given for name, given in pairs if name.startswith("{")}
    return found, params

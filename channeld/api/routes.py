"""The table of requests: method and path, who answers, what must be sent, what is answered; OpenAPI is made from it.

A path is matched by its segments, each percent-decoded once and after the path was cut, so that `%2F` in a room's name
is a character of the name.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
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


@attrs.frozen(kw_only=True, eq=False)
class Route:
    """One request. `errors` are the statuses it may be answered with beside those that any may be.

    `may_be_pending` may be answered with 202 (`pending.py`). `is_open` needs no key, and where it also `is_private` only
    of a `Host` that is not a public name; `answer` is the schema of a JSON answer, or None where it is something else;
    what is not
    `described` is the console's own and may change.
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


ROUTES: Final[Sequence[Route]] = (
    Route(
        method="POST",
        path="/v1/publish",
        handler=verbs.publish,
        summary="Send an event to a room, a user, or everyone on a channel",
        body=forms.PUBLISH,
        answer=answers.PUBLISHED,
        errors=(404, 422, 503),
    ),
    Route(
        method="POST",
        path="/v1/batch",
        handler=verbs.batch,
        summary="Publish up to 1,000 events; each has its own result, in the order asked",
        body=forms.BATCH,
        answer=answers.BATCH,
    ),
    Route(
        method="POST",
        path="/v1/disconnect",
        handler=verbs.disconnect,
        summary="Close a connection, or all of a user's",
        body=forms.DISCONNECT,
        answer=answers.COUNT,
        may_be_pending=True,
        errors=(503,),
    ),
    Route(
        method="POST",
        path="/v1/subscribe",
        handler=verbs.subscribe,
        summary="Put a connection, or a user's on a channel, into a room",
        body=forms.MEMBERSHIP,
        answer=answers.COUNT,
        may_be_pending=True,
        errors=(404, 503),
    ),
    Route(
        method="POST",
        path="/v1/unsubscribe",
        handler=verbs.unsubscribe,
        summary="Take a connection, or a user's on a channel, out of a room",
        body=forms.MEMBERSHIP,
        answer=answers.COUNT,
        may_be_pending=True,
        errors=(404, 503),
    ),
    Route(
        method="POST",
        path="/v1/revoke",
        handler=revoking.revoke,
        summary="Refuse the JWTs of a user, or one JWT, from now on, and close their connections",
        body=forms.REVOKE,
        answer=answers.REVOKED,
        may_be_pending=True,
        errors=(409, 503),
    ),
    Route(
        method="GET",
        path="/v1/revocations",
        handler=revoking.revocations,
        summary="What is revoked, by id",
        query=forms.PAGE_QUERY,
        answer=answers.REVOCATIONS,
    ),
    Route(
        method="DELETE",
        path="/v1/revocations/{id}",
        handler=revoking.restore,
        summary="Take a revocation back",
        answer=answers.RESTORED,
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path="/v1/channels",
        handler=views.channels,
        summary="The declared channels, with their numbers of connections and rooms",
        answer=answers.CHANNELS,
        errors=(503,),
    ),
    Route(
        method="GET",
        path="/v1/channels/{channel}",
        handler=views.channel,
        summary="One channel",
        answer=answers.CHANNEL,
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path="/v1/channels/{channel}/rooms",
        handler=views.rooms,
        summary="The rooms that somebody is in, by name",
        query=forms.PAGE_QUERY,
        answer=answers.ROOMS,
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path="/v1/channels/{channel}/rooms/{room}",
        handler=views.room,
        summary="The connections in a room; a room that nobody is in has none",
        query=forms.PAGE_QUERY,
        answer=answers.ROOM,
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path="/v1/channels/{channel}/rooms/{room}/presence",
        handler=views.presence,
        summary="The users in a room, as its members are told",
        query=forms.PAGE_QUERY,
        answer=answers.PRESENCE,
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path="/v1/channels/{channel}/rooms/{room}/history",
        handler=views.history,
        summary="The latest frames of a room, oldest first",
        query=forms.HISTORY_QUERY,
        answer=answers.HISTORY,
        errors=(404, 503),
    ),
    Route(
        method="DELETE",
        path="/v1/channels/{channel}/rooms/{room}/history",
        handler=verbs.clear,
        summary="Take the kept frames of a room away, or the newest of one key; its members hear nothing",
        query=forms.CLEAR_QUERY,
        answer=answers.CLEARED,
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path="/v1/users/{user}",
        handler=views.user,
        summary="Whether a user is online, and through which connections",
        query=forms.PAGE_QUERY,
        answer=answers.USER,
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path="/health/live",
        handler=views.live,
        summary="The process answers",
        answer=answers.HEALTH,
        is_open=True,
    ),
    Route(
        method="GET",
        path="/health/ready",
        handler=views.ready,
        summary="Clients may be sent here: not while draining, nor while the broker is away",
        answer=answers.HEALTH,
        errors=(503,),
        is_open=True,
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=views.metrics,
        summary="Metrics for Prometheus",
        errors=(503,),
        is_open=True,
        is_private=True,
    ),
    Route(
        method="GET",
        path="/",
        handler=console_answers.page,
        summary="The console",
        is_open=True,
        described=False,
    ),
    Route(
        method="GET",
        path="/go/{code}",
        handler=console_answers.follow,
        summary="A short link of a development server",
        is_open=True,
        described=False,
    ),
    Route(
        method="GET",
        path="/chat.html",
        handler=console_answers.chat,
        summary="The example's chat page, on a development server",
        is_open=True,
        described=False,
    ),
    Route(
        method="GET",
        path="/console/files/{file}",
        handler=console_answers.file,
        summary="What the console's page is made of",
        is_open=True,
        described=False,
    ),
    Route(
        method="GET",
        path="/console/setup",
        handler=console_answers.setup,
        summary="What the console shows of the configuration",
        described=False,
    ),
    Route(
        method="GET",
        path="/console/pulse",
        handler=console_answers.pulse,
        summary="The numbers of this moment",
        described=False,
    ),
    Route(
        method="GET",
        path="/console/past",
        handler=insight.past,
        summary="The numbers of the last minutes",
        described=False,
    ),
    Route(
        method="GET",
        path="/console/busy",
        handler=insight.busy,
        summary="The largest rooms and the slowest clients",
        described=False,
    ),
    Route(
        method="GET",
        path="/console/connections/{connection}",
        handler=insight.connection,
        summary="One connection, with what it may still send",
        described=False,
    ),
    Route(
        method="POST",
        path="/console/check",
        handler=console_answers.check,
        summary="Why a message would be refused",
        body=forms.CHECK,
        described=False,
    ),
    Route(
        method="POST",
        path="/console/trace",
        handler=console_answers.trace,
        summary="What becomes of a message, step by step",
        body=forms.TRACE,
        described=False,
    ),
    Route(
        method="POST",
        path="/console/token",
        handler=console_answers.token,
        summary="A token for development",
        body=forms.TOKEN,
        described=False,
    ),
    Route(
        method="GET",
        path="/console/tail/{channel}/{room}",
        handler=console_answers.tail,
        summary="A room's frames as they come (text/event-stream)",
        described=False,
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

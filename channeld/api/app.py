"""The ASGI application: checks a request's origin, key, path, method, query and body, then calls its handler.

    app = make_app(control)

Every refusal is a problem document. Unexpected exceptions are logged with a `ref` that the client also gets, as on the
wire. All state between requests is in `Control`.
"""

from collections.abc import Sequence
from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from channeld.api.access import has_key, is_own_origin, is_private_host
from channeld.api.control import ApiRequest, Control
from channeld.api.forms import Schema, read_body, read_query
from channeld.api.openapi import describe
from channeld.api.problems import Problem
from channeld.api.publishing import away
from channeld.api.responses import as_response
from channeld.api.routes import ROUTES, ApiRoute, find
from channeld.broker.broker import BrokerUnavailable
from channeld.protocol.frames import Json
from channeld.telemetry import log

LARGEST_BODY: Final = 1024 * 1024


class _Gone(Exception):
    """The client left in the middle of its body, or was too slow, which the server answers."""


def make_app(control: Control) -> ASGIApp:
    """Make the application. It is served without a lifespan."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"served is HTTP, not {scope['type']}")
        request = Request(scope, receive)
        try:
            response = await _answer(control, request)
        except _Gone:
            return
        sending = _Sending(send)
        try:
            await response(scope, receive, sending)
        except (Problem, BrokerUnavailable) as error:
            if sending.has_begun:
                raise
            problem = away(error) if isinstance(error, BrokerUnavailable) else error
            await problem.response()(scope, receive, send)

    return app


@attrs.define(eq=False)
class _Sending:
    """A `send` that knows whether the answer has begun."""

    send: Send
    has_begun: bool = False

    async def __call__(self, message: Message) -> None:
        self.has_begun = True
        await self.send(message)


async def _openapi(control: Control, _ask: ApiRequest) -> Json:
    """This description."""
    return describe(TABLE, control.engine.plan)


TABLE: Final[Sequence[ApiRoute]] = (
    *ROUTES,
    ApiRoute("GET", "/openapi.json", _openapi, answer={"type": "object"}),
)
"""Every request that is answered."""


async def _answer(control: Control, request: Request) -> Response:
    try:
        route, params = _admit(control, request)
        query = read_query(request.scope["query_string"], route.query)
        body = None if route.body is None else await _read_json(request, route.body)
        result = await route.handler(
            control, ApiRequest(request=request, params=params, query=query, body=body)
        )
    except Problem as problem:
        return problem.response()
    except BrokerUnavailable as error:
        return away(error).response()
    except _Gone:
        raise
    except (
        Exception
    ) as error:  # a server bug: the client is given the log line's ref and nothing more
        return _failure(control, error)
    if isinstance(result, Response):
        return result
    return as_response(result)


def _admit(control: Control, request: Request) -> tuple[ApiRoute, dict[str, str]]:
    """The request's route and path parameters, if the client is allowed to make it."""
    headers = request.headers
    origin = headers.get("origin")
    if origin is not None and not is_own_origin(origin, headers.get("host")):
        _log_refusal(control, request, 403, "origin")
        raise Problem(403, "pages of other sites may not use this API")
    found, params = find(request.scope["raw_path"], TABLE)
    is_public_name = not is_private_host(headers.get("host"))
    if not found or not all(r.is_open and not (r.is_private and is_public_name) for r in found):
        _demand_key(control, request)
    if not found:
        raise Problem(404, "there is no such path; /openapi.json lists them")
    methods = {route.method: route for route in found}
    if "GET" in methods:
        methods.setdefault("HEAD", methods["GET"])
    route = methods.get(request.method)
    if route is None:
        allowed = ", ".join(sorted(methods))
        raise Problem(405, f"use {allowed}", headers={"allow": allowed})
    return route, dict(params)


def _demand_key(control: Control, request: Request) -> None:
    given = request.headers.getlist("authorization")
    # With two of them, a proxy in between might have checked the other one.
    one = given[0].encode("latin-1") if len(given) == 1 else None
    if not has_key(one, control.keys):
        _log_refusal(control, request, 401, "key")
        challenge = {"www-authenticate": 'Bearer realm="channeld"'}
        raise Problem(401, "send `Authorization: Bearer KEY` with one of api.keys", (), challenge)


async def _read_json(request: Request, schema: Schema) -> object:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = request.headers.get("content-encoding", "identity").lower()
    if (kind, coding) != ("application/json", "identity"):
        told = "send JSON, with `Content-Type: application/json` and without `Content-Encoding`"
        raise Problem(415, told, (), {"accept-encoding": "identity"})
    return read_body(await _read(request), schema)


async def _read(request: Request) -> bytes:
    too_large = Problem(413, f"a body may have {LARGEST_BODY} bytes")
    length = request.headers.get("content-length", "")
    if length.isdigit() and (len(length) > 12 or int(length) > LARGEST_BODY):
        raise too_large
    body, has_more = bytearray(), True
    while has_more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise too_large
        has_more = message.get("more_body", False)
    return bytes(body)


def _failure(control: Control, error: Exception) -> Response:
    ref = control.engine.runtime.random_id()
    log("internal_error", ref=ref, exception=error)
    return Problem(500, "something went wrong on the server", ref=ref).response()


def _log_refusal(control: Control, request: Request, status: int, reason: str) -> None:
    address = request.client.host if request.client is not None else ""
    if not control.refusals.is_news(address, reason):
        return
    log(
        "api_refused",
        status=status,
        reason=reason,
        method=request.method,
        path=request.scope["raw_path"].decode("latin-1"),
        origin=request.headers.get("origin"),
        address=address,
    )

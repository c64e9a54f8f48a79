"""`channeld publish`, `presence`, `disconnect`, `revoke`: commands for a running server, through its control API."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

import attrs
import click
import orjson

from channeld.cli.loading import DEFAULT_FILE, checked_config, dev_server
from channeld.cli.output import JsonCommand, Unreadable
from channeld.cli.token import DurationType
from channeld.config.reachable import reachable
from channeld.config.scalars import BadScalar, format_duration, parse_moment
from channeld.protocol.frames import Json
from channeld.telemetry import escaped

if TYPE_CHECKING:
    from channeld.client import Client, Presence

_KEY: Final = "CHANNELD_API_KEY"
_HINT: Final = "is the server running, and its `api` on?"
_PAGE: Final = 1000


class _Unreached(click.ClickException):
    """The server does not answer (exit 2)."""

    exit_code = 2


@attrs.frozen(kw_only=True)
class ApiServer:
    """The server to call: its URL or Unix socket, and a key."""

    url: str
    key: str

    @contextmanager
    def client(self) -> Iterator["Client"]:
        """An HTTP client of the server; its exceptions become the command's error.

        Raises:
            click.ClickException: the server refused (exit 1) or does not answer (exit 2).
        """
        import httpx2  # noqa: PLC0415 - with the client 150 ms, which `--help` does not need

        from channeld.client import ApiError, Client, Unreachable  # noqa: PLC0415 - likewise

        transport = None
        url = self.url
        if url.startswith("unix:"):
            path = url.removeprefix("unix:")
            if not Path(path).is_socket():
                raise _Unreached(f"{url} does not answer (there is no such socket); {_HINT}")
            transport = httpx2.HTTPTransport(uds=path)
            url = "http://localhost"
        try:
            with Client(url, self.key, transport=transport) as client:
                yield client
        except Unreachable as error:
            why = re.sub(r"^\[Errno -?[0-9]+\] ", "", str(error.__cause__))
            raise _Unreached(f"{self.url} does not answer ({why}); {_HINT}") from None
        except ApiError as error:
            raise click.ClickException(_words(error)) from None


def _words(error: Any) -> str:
    problem = error.problem
    lines = [problem.detail or problem.title or f"HTTP {problem.status}"]
    if problem.status == 401:
        lines = [
            "the server does not accept this key; give another with --key, or set CHANNELD_API_KEY"
        ]
    lines += [f"  {one.path or '/'}: {one.message}" for one in problem.errors]
    return "\n".join(lines)


_Connect: TypeAlias = "Callable[[], AbstractContextManager[Client]]"


def _with_server(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select the server, by default the configuration's `api`; the command gets what connects to it."""

    @wraps(command)
    def connecting(*, file: str, url: str | None, key: str | None, **options: object) -> None:
        command(connect=lambda: _server(file, url, key).client(), **options)

    for option in (
        click.option("--key", help=f"One of api.keys. Default: {_KEY}, then the configuration."),
        click.option(
            "--url", metavar="URL", help="Address of the API: http://HOST:PORT or unix:PATH."
        ),
        click.option(
            "--config",
            "file",
            default=DEFAULT_FILE,
            metavar="FILE",
            show_default=True,
            help="Configuration whose `api`, or running `run --dev`, gives the address and the key.",
        ),
    ):
        connecting = option(connecting)
    return connecting


def _server(file: str, url: str | None, key: str | None) -> ApiServer:
    if url is not None and not _is_url(url):
        raise click.UsageError(f"--url: '{url}' is not http://HOST:PORT or unix:PATH")
    running = dev_server(file) if url is None and key is None else None
    if running is not None and running.api_url:
        return ApiServer(url=running.api_url, key=running.key)
    key = key or os.environ.get(_KEY)
    if url is not None and key:
        return ApiServer(url=url.rstrip("/"), key=key)
    try:
        api = checked_config(file).api
    except Unreadable as error:
        raise Unreadable(f"{error.message}, or give --url and --key") from None
    if api is None:
        # As `run --dev` turns it on.
        url = url or "http://127.0.0.1:4001"
    else:
        url = url or (api.bind if api.bind.startswith("unix:") else f"http://{reachable(api.bind)}")
        key = key or next((secret.text for secret in api.keys if secret.text), None)
    if not key:
        raise click.UsageError(
            f"there is no key: start `channeld run --dev`, set {_KEY}, or give --key"
        )
    return ApiServer(url=url.rstrip("/"), key=key)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme == "unix" or (parts.scheme in ("http", "https") and bool(parts.hostname))


def _exactly_one(**given: object) -> None:
    names = " or ".join(f"--{name.replace('_', '-')}" for name in given)
    if sum(bool(value) for value in given.values()) != 1:
        raise click.UsageError(f"give exactly one of {names}")


def _read_event(text: str) -> dict[str, Json]:
    source = sys.stdin.read() if text == "-" else text
    try:
        value = orjson.loads(source)
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"the event is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError('the event is a JSON object, such as {"type": "news"}')
    return value


@click.command("publish")
@click.argument("channel")
@click.argument("event", metavar="JSON")
@click.option("--room", metavar="ROOM", help="Send to everyone in this room.")
@click.option("--user", metavar="USER", help="Send to all connections of this user.")
@click.option("--all", "everyone", is_flag=True, help="Send to everyone on the channel.")
@click.option(
    "--idempotency-key", metavar="KEY", help="Publish only once per key within five minutes."
)
@_with_server
def publish(  # noqa: PLR0913 - one for each option
    *,
    channel: str,
    event: str,
    room: str | None,
    user: str | None,
    everyone: bool,
    idempotency_key: str | None,
    connect: _Connect,
) -> None:
    """Send an event to a room, to a user, or to everyone on a channel of a running server.

    JSON is the event including its `type`, or - to read it from standard input.
    """
    _exactly_one(room=room, user=user, all=everyone)
    frame = _read_event(event)
    with connect() as client:
        out = client.publish(channel, frame, room=room, user=user, idempotency_key=idempotency_key)
    told: dict[str, Json] = {} if out.pos is None else {"pos": out.pos}
    click.echo(orjson.dumps({**told, "nodes": out.nodes}).decode())


@click.command("presence", cls=JsonCommand, empty={"users": []})
@click.argument("channel")
@click.argument("room")
@click.option("--format", type=click.Choice(["text", "json"]), default="text")
@_with_server
def presence(*, channel: str, room: str, format: str, connect: _Connect) -> None:
    """Show who is in a room of a running server."""
    with connect() as client:
        pages = [client.presence(channel, room, limit=_PAGE)]
        while pages[-1].next is not None:
            pages.append(client.presence(channel, room, limit=_PAGE, after=pages[-1].next))
    if format == "json":
        click.echo(orjson.dumps(_as_json(pages), option=orjson.OPT_INDENT_2).decode())
        return
    for user in (user for page in pages for user in page.users):
        info = orjson.dumps(dict(user.info)).decode() if user.info else ""
        several = f" ({user.connections} connections)" if user.connections != 1 else ""
        # User names come from clients: escape what could control the terminal.
        click.echo(escaped(f"{user.user}{several}  {info}".rstrip()))
    first = pages[0]
    people = f"{first.count} user{'' if first.count == 1 else 's'}"
    links = f"{first.connections} connection{'' if first.connections == 1 else 's'}"
    click.echo(f"{people}, {links}", err=True)


def _as_json(pages: list["Presence"]) -> dict[str, Json]:
    users: list[Json] = [
        {"user": user.user, "info": dict(user.info), "connections": user.connections}
        for page in pages
        for user in page.users
    ]
    return {
        "room": pages[0].room,
        "count": pages[0].count,
        "connections": pages[0].connections,
        "users": users,
    }


@click.command("disconnect")
@click.option("--user", metavar="USER", help="Close all connections of this user.")
@click.option("--connection", metavar="ID", help="Close this connection.")
@click.option(
    "--code", type=click.IntRange(1000, 4999), default=4410, show_default=True, help="Close code."
)
@click.option("--reason", default="", help="Reason given to the client.")
@_with_server
def disconnect(
    *,
    user: str | None,
    connection: str | None,
    code: int,
    reason: str,
    connect: _Connect,
) -> None:
    """Close a user's connections, or a single one. Prints how many were closed."""
    _exactly_one(user=user, connection=connection)
    with connect() as client:
        count = client.disconnect(user=user, connection=connection, code=code, reason=reason)
    click.echo(str(count))


def _moment(_ctx: click.Context, _param: click.Parameter, given: str | None) -> float | None:
    """Unix seconds of a moment as the API takes it."""
    moment = None if given is None else parse_moment(given)
    if isinstance(moment, BadScalar):
        raise click.BadParameter(f"'{given}' {moment.why}; write {moment.write}")
    return moment


@click.command("revoke")
@click.option("--user", metavar="USER", help="Refuse the JWTs of this user issued until now.")
@click.option(
    "--before",
    callback=_moment,
    metavar="TIME",
    help="With --user: only tokens issued until then. Unix seconds or RFC 3339.",
)
@click.option(
    "--for",
    "lifetime",
    type=DurationType(),
    help="With --user: for how long. Default: 24h.",
)
@click.option("--token-id", metavar="JTI", help="Refuse the JWT with this `jti`.")
@click.option(
    "--until", callback=_moment, metavar="TIME", help="With --token-id: when that token expires."
)
@_with_server
def revoke(
    *,
    user: str | None,
    before: float | None,
    lifetime: float | None,
    token_id: str | None,
    until: float | None,
    connect: _Connect,
) -> None:
    """Refuse a user's tokens, or one token, from now on. Prints how many connections were closed."""
    _exactly_one(user=user, token_id=token_id)
    if token_id is not None and (before is not None or lifetime):
        raise click.UsageError("--before and --for go with --user")
    if user is not None and until is not None:
        raise click.UsageError("--until goes with --token-id; for a user write --for")
    if until is None and token_id is not None:
        until = time.time() + _DAY
    with connect() as client:
        revoked = client.revoke(
            user=user,
            token_id=token_id,
            before=before,
            lifetime=None if lifetime is None else format_duration(lifetime),
            until=until,
        )
    click.echo(f"revocation {revoked.id} until {revoked.until}", err=True)
    click.echo(str(revoked.connections))


_DAY: Final = 86_400.0

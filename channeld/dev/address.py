"""Where a client connects and what its handshake contains: addresses as people write them, likely paths, the token."""

import re
from collections.abc import Sequence
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import attrs

from channeld.auth.token_places import carry
from channeld.config.model import Server
from channeld.config.reachable import reachable
from channeld.plan.plan import ChannelPlan, Plan
from channeld.protocol.frames import Frame
from channeld.schema.sample import sample


class BadAddress(Exception):
    """An invalid address; the message says what is wrong with it."""


@attrs.frozen(slots=True, kw_only=True)
class Opening:
    """The contents of a handshake: the address, and a token where the authenticator looks for one."""

    url: str = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    subprotocols: tuple[str, ...] = attrs.field(default=(), repr=False)
    first: Frame | None = attrs.field(default=None, repr=False)


def resolve(address: str, server: Server | None = None) -> Opening:
    """Parse an address: a URL, `host:port/path`, or a bare path on the server that a configuration declares.

    Raises:
        BadAddress: it is not a WebSocket address, or it is a bare path and there is no server to put before it.
    """
    if address.startswith("/"):
        if server is None:
            raise BadAddress(
                f"'{address}' is a path: which server? Give a whole ws:// URL, or --config"
            )
        address = _base(server) + address
    elif "://" not in address:
        if re.match(r"(?!localhost\b)[\w-]+(/|$)", address):
            raise BadAddress(f"'{address}' has no port: write /{address} for a path of this server")
        address = f"ws://{address}"
    wrong = BadAddress(f"'{address}' is not a WebSocket address: write ws://HOST:PORT/PATH")
    try:
        parts = urlsplit(address)
        has_port = parts.port != 0
    except ValueError:  # brackets that do not close, a port over 65,535
        raise wrong from None
    scheme = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname or not has_port:
        raise wrong
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return Opening(url=urlunsplit((scheme, parts.netloc, path, parts.query, "")))


def _base(server: Server) -> str:
    bound = server.bind[0]
    if bound.startswith("unix:"):
        raise BadAddress(f"the server listens on {bound}, which this client cannot reach")
    if bound == "systemd":
        raise BadAddress("the server listens where systemd says: write ws://HOST:PORT/PATH")
    return f"{'wss' if server.tls is not None else 'ws'}://{reachable(bound)}"


def with_token(opening: Opening, token: str, token_from: Sequence[str] = ("query",)) -> Opening:
    """The opening with a token in the first place where the authenticator looks for one."""
    carried = carry(token_from, token)
    parts = urlsplit(opening.url)
    query = "&".join(filter(None, (parts.query, urlencode(carried.query))))
    headers = tuple((name.title(), value) for name, value in carried.headers.items())
    return attrs.evolve(
        opening,
        url=urlunsplit(parts._replace(query=query)),
        headers=(*opening.headers, *headers),
        subprotocols=carried.subprotocols or opening.subprotocols,
        first={"type": "authenticate", "token": token} if carried.in_frame else opening.first,
    )


def likely_path(plan: Plan, channel: ChannelPlan, preferred: str = "general") -> str:
    """A channel's path with likely values for its params; `preferred` for any string.

    Raises:
        LookupError: no value was found.
    """
    schemas = plan.config.channels[channel.name].params

    def value(found: re.Match[str]) -> str:
        made = sample(schemas.get(found[1], {}), preferred, plan.config.schemas)
        if isinstance(made, str | int | float):
            return quote(str(made), safe="")
        raise LookupError(f"cannot guess a value of {{{found[1]}}} for {channel.path}")

    return re.sub(r"\{(\w+)(?:\.\.\.)?\}", value, channel.path)

"""Rules about access: origins, addresses, anonymous users and what they see."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

import attrs

from channeld.config.checker import shown
from channeld.config.model import Channel, Config, JwtAuth
from channeld.config.reachable import is_every_interface
from channeld.config.rules.evidence import (
    Findings,
    authenticators,
    finding,
    is_written,
    secrets,
    texts,
    with_tokens,
)
from channeld.config.scalars import (
    BadScalar,
    TcpAddress,
    format_address,
    is_loopback,
    parse_address,
)
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Related, Severity
from channeld.pointer import at

_LEAST_KEY = 32
# IANA assigns no larger network to anyone, so a larger one cannot belong to a proxy.
_LARGEST_V4, _LARGEST_V6 = 8, 16
_LOCAL = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?![\w.-])")
_ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([/?#].*)?", re.DOTALL)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


def _anonymous(config: Config) -> Iterator[Channel]:
    return (channel for channel in config.channels.values() if not channel.auth.names)


def route_to_nobody(config: Config, sources: Sources) -> Findings:
    """CH403: a route to a user on a channel without authenticated users."""
    for channel in _anonymous(config):
        for name, message in channel.messages.items():
            if any(t.to == "user" and t.channel in {None, channel.name} for t in message.route):
                text = f"channel `{channel.name}` has no authenticated users, so `to: user` can never match"
                pointer = at("/channels", channel.name, "messages", name, "route")
                help = "give the channel an authenticator, or route to `room`, `global` or `sender`"
                yield finding("CH403", text, sources, pointer, help)


def presence_of_nobody(config: Config, sources: Sources) -> Findings:
    """CH413: presence on a channel without authenticated users."""
    for channel in _anonymous(config):
        if channel.presence is not None:
            text = f"channel `{channel.name}` has no authenticated users, so presence stays empty"
            help = "give the channel an authenticator, or remove `presence`"
            pointer = at("/channels", channel.name, "presence")
            yield finding("CH413", text, sources, pointer, help, key=True)


def require_of_nobody(config: Config, sources: Sources) -> Findings:
    """CH423: `require` on a channel where nobody has claims."""
    for channel in _anonymous(config):
        below = at("/channels", channel.name)
        asking = [at(below, "messages", k) for k, one in channel.messages.items() if one.require]
        for pointer in (*([below] if channel.require else []), *asking):
            text = f"channel `{channel.name}` has `auth: none`, so there are no claims to compare"
            help = "give the channel an authenticator, or remove `require`"
            yield finding("CH423", text, sources, at(pointer, "require"), help, key=True)


def claims_shown_to_anonymous(config: Config, sources: Sources) -> Findings:
    """CH425: presence shows claims to anonymous users."""
    for channel in config.channels.values():
        shows = channel.presence is not None and "{claims." in repr(channel.presence.info)
        if channel.auth.optional and shows:
            message = f"anonymous clients of channel `{channel.name}` can see these claims"
            help = "show only public information, or remove `optional: true`"
            pointer = at("/channels", channel.name, "presence", "info")
            yield finding("CH425", message, sources, pointer, help)


def cookie_any_origin(config: Config, sources: Sources) -> Findings:
    """CH410: any web page can connect as its visitor, by cookie."""
    if config.server.allowed_origins != "any":
        return
    for name, token_from in with_tokens(config):
        for source in token_from:
            if source.startswith("cookie:"):
                message = "any web page can connect with its visitor's cookie"
                help = "list your own origins, or use `same-origin`"
                problem = finding("CH410", message, sources, "/server/allowed_origins", help)
                where = sources.place(at("/auth", name, "token_from"))
                related = (Related(place=where, message="the cookie is taken here"),)
                yield attrs.evolve(problem, related=related)
                return


def _origins(config: Config, sources: Sources) -> Iterator[tuple[str, str]]:
    if isinstance(config.server.allowed_origins, tuple):
        yield from texts(sources, "/server/allowed_origins")


@attrs.frozen(slots=True)
class _OriginProblem:
    """What is wrong with an origin, what browsers send instead, and whether it matches nothing."""

    why: str
    good: str = ""
    is_fatal: bool = True


def origin_never_matches(config: Config, sources: Sources) -> Findings:
    """CH411: an origin that no browser sends; only a warning if it still matches what they do send."""
    for origin, pointer in _origins(config, sources):
        problem = None if origin == "*" else _origin_problem(origin)
        if problem is not None:
            help = f"write {shown(problem.good)}" if problem.good else "remove it"
            found = finding("CH411", f"{shown(origin)} {problem.why}", sources, pointer, help)
            if not problem.is_fatal:
                found = attrs.evolve(found, severity=Severity.WARNING)
            yield found


def _origin_problem(origin: str) -> _OriginProblem | None:
    if origin == "null":
        return _OriginProblem("is the origin of every sandboxed page and local file")
    if origin in {"any", "same-origin"}:
        why = "is not an origin, so it never matches"
        return _OriginProblem(why, f"allowed_origins: {origin}")
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        scheme = "http" if _LOCAL.match(origin) else "https"
        return _OriginProblem("has no scheme, so it never matches", f"{scheme}://{origin}")
    _, at_sign, host = match[2].rpartition("@")
    if at_sign:
        why = "has a user name, so it never matches"
        return _OriginProblem(why, f"{match[1]}://{host}".lower())
    _, colon, digits = host.rpartition(":")
    is_over = bool(colon) and digits.isdecimal() and (len(digits) > 5 or int(digits) > 65535)
    if is_over or re.search(r"\s", host):
        return _OriginProblem("has an impossible host or port, so it never matches")
    return _never_sent(match[1], host, match[3])


def _never_sent(scheme: str, host: str, rest: str | None) -> _OriginProblem | None:
    """Why browsers never send such an origin (RFC 6454 section 7), or None."""
    origin = f"{scheme}://{host}".lower()
    if rest is not None:
        what = "ends in `/`" if rest == "/" else "has a path"
        return _OriginProblem(f"{what}, so it never matches", origin)
    if scheme.lower() in {"ws", "wss"}:
        why = "is not the address of a web page, so it never matches"
        return _OriginProblem(why, origin.replace("ws", "http", 1))
    if not host.isascii():
        why = "has letters that browsers send in another form (RFC 5891), so it never matches"
        return _OriginProblem(why, f"{scheme.lower()}://{_as_sent(host)}")
    if origin != f"{scheme}://{host}":
        return _OriginProblem("has capitals, which browsers never send", origin, is_fatal=False)
    port = _DEFAULT_PORTS.get(scheme, "")
    if port and host.endswith(port):
        why = "names the default port, which browsers leave out"
        return _OriginProblem(why, origin.removesuffix(port), is_fatal=False)
    return None


def _as_sent(host: str) -> str:
    """A host as browsers send it: non-ASCII labels in Punycode."""
    name, colon, port = host.partition(":")
    labels = []
    for label in name.lower().split("."):
        try:
            labels.append(label if label.isascii() else label.encode("idna").decode())
        except UnicodeError:
            return "xn--…"
    return ".".join(labels) + colon + port


def origin_wildcard(config: Config, sources: Sources) -> Findings:
    """CH418: a `*` that matches more or less than it seems to."""
    for origin, pointer in _origins(config, sources):
        if "*" in origin and not _is_good_wildcard(origin):
            message = f"`*` is not allowed there in {shown(origin)}"
            help = "it may be the first label of a host: `https://*.example.com`"
            if origin == "*":
                help = "write `allowed_origins: any` to let every web page connect"
            yield finding("CH418", message, sources, pointer, help)


def _is_good_wildcard(origin: str) -> bool:
    _, separator, host = origin.partition("://")
    host = host if separator else origin
    labels = host.removeprefix("*.").partition("/")[0].partition(":")[0].split(".")
    starts = host.startswith("*.")
    named = len(labels) > 1 or labels == ["localhost"]
    return starts and origin.count("*") == 1 and named and all(labels)


def plaintext_public(config: Config, sources: Sources) -> Findings:
    """CH414: plaintext on every interface, without TLS or a proxy that adds it."""
    if config.server.tls is not None or config.server.trusted_proxies:
        return
    if is_written(sources, "/server/tls") or is_written(sources, "/server/trusted_proxies"):
        return
    for text, pointer in texts(sources, "/server/bind"):
        address = parse_address(text)
        if isinstance(address, TcpAddress) and is_every_interface(address.host):
            message = "anyone on the network can connect, and tokens are sent in plain text"
            local = format_address(TcpAddress("127.0.0.1", address.port))
            help = f"add `tls`, or `trusted_proxies` if a proxy adds TLS, or bind to `{local}`"
            yield finding("CH414", message, sources, pointer, help)


def address_twice(config: Config, sources: Sources) -> Findings:
    """CH709: two of the server's sockets have the same address."""
    seen: dict[str, str] = {}
    bound = [*texts(sources, "/server/bind"), *texts(sources, "/api/bind")]
    if not is_written(sources, "/server/bind"):
        bound = [*((text, "/server") for text in config.server.bind), *bound]
    if config.api is not None and not is_written(sources, "/api/bind"):
        bound.append((config.api.bind, "/api"))
    for text, pointer in bound:
        address = parse_address(text)
        if isinstance(address, BadScalar) or (isinstance(address, TcpAddress) and not address.port):
            continue
        named = format_address(address).replace("localhost:", "127.0.0.1:")
        if named in seen:
            problem = finding(
                "CH709",
                f"{shown(text)} is taken by the server itself",
                sources,
                pointer,
                "listen on another port",
            )
            related = Related(place=sources.place(seen[named]), message="first here")
            yield attrs.evolve(problem, related=(related,))
        seen.setdefault(named, pointer)


def proxies_everywhere(config: Config, sources: Sources) -> Findings:
    """CH446: trusted proxies that include strangers, who could then forge a client's address."""
    for text, pointer in texts(sources, "/server/trusted_proxies"):
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue
        largest = _LARGEST_V4 if network.version == 4 else _LARGEST_V6
        if network.prefixlen < largest and not network.is_private:
            message = f"with `{text}` any client can claim another address"
            help = "name the addresses of your proxies, such as `10.0.0.0/8`"
            yield finding("CH446", message, sources, pointer, help)


def api_public(config: Config, sources: Sources) -> Findings:
    """CH415: the control API on a public address."""
    address = parse_address(config.api.bind) if config.api is not None else None
    if isinstance(address, TcpAddress) and not is_loopback(address.host):
        message = "the control API is reachable from other machines"
        local = format_address(TcpAddress("127.0.0.1", address.port))
        help = (
            f"bind it to `{local}` or a Unix socket, behind a proxy with TLS where others need it"
        )
        yield finding("CH415", message, sources, "/api/bind", help)


def revocations_forgotten(config: Config, sources: Sources) -> Findings:
    """CH442: revocations through the API are lost on restart."""
    named = {name for channel in config.channels.values() for name in channel.auth.names}
    signed = any(name in named for name, _ in authenticators(config, JwtAuth))
    if config.api is not None and config.broker == "memory" and signed:
        message = "a restart forgets which tokens were revoked"
        help = "use `broker: valkey` or Redis if you revoke tokens, or keep them short"
        yield finding("CH442", message, sources, "/api", help, key=True)


def api_key_weak(config: Config, sources: Sources) -> Findings:
    """CH426: an API key under 32 characters."""
    if config.api is None:
        return
    for secret, pointer in secrets(sources, config.api.keys, "/api/keys"):
        if len(secret.text) < _LEAST_KEY:
            size = len(secret.text)
            message = f"the API key has {size} characters; at least {_LEAST_KEY} are required"
            help = "generate one with `openssl rand -hex 32`"
            yield finding("CH426", message, sources, pointer, help)

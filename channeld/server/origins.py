"""Decides whether a page may connect, by its Origin (RFC 6454), and which proxies are trusted."""

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

OriginCheck: TypeAlias = Callable[[str, str, bool], bool]
"""`(origin, host field, secure) -> allowed`."""

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._*-]+)(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)


def origin_check(allowed: str | Sequence[str]) -> OriginCheck:
    """Compile `allowed_origins`: `any`, `same-origin`, or a list of origins whose host may begin with `*.`.

    `localhost` is for development only: pages served by this machine, on any port. A page opened from a file is refused:
    its origin is `null`, which is also the origin of any site's sandboxed frame.
    """
    if allowed == "any":
        return _any
    if allowed == "same-origin":
        return _is_same
    if allowed == "localhost":
        return _is_local
    entries = [_split(entry) for entry in ([allowed] if isinstance(allowed, str) else allowed)]
    exact = {entry for entry in entries if entry and not entry[1].startswith("*.")}
    # `*.example.com` is one or more labels and then `.example.com`: never `example.com`, never `evilexample.com`.
    below = [(s, host[1:], port) for s, host, port in filter(None, entries) if host[:2] == "*."]

    def is_listed(origin: str, _host: str, _secure: bool) -> bool:
        parts = _split(origin)
        if parts is None or "*" in parts[1]:
            return False
        scheme, host, port = parts
        return parts in exact or any(
            scheme == s and port == p and host.endswith(tail) and host[0] != "."
            for s, tail, p in below
        )

    return is_listed


def named_origin(origin: str) -> str:
    """An origin for the log: scheme, host and port only, since the rest may be a secret."""
    if origin == "null":
        return origin
    match = _ORIGIN.match(origin.lower())
    return match[0] if match is not None else "malformed"


def _is_local(origin: str, _host: str, _secure: bool) -> bool:
    parts = _split(origin)
    return parts is not None and parts[1] in ("localhost", "127.0.0.1", "[::1]")


def unmapped(address: str) -> str:
    """An address in its usual form: an IPv4-mapped one (RFC 4291 section 2.5.5.2) as IPv4."""
    if address[:7].lower() != "::ffff:":
        return address
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return address if mapped is None else str(mapped)


def networks(entries: Sequence[str]) -> list[Network]:
    """Parse addresses and networks (RFC 4632); host bits may be set.

    Raises:
        ValueError: an entry is neither.
    """
    return [ipaddress.ip_network(entry, strict=False) for entry in entries]


def address_of(address: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The client's address: the rightmost entry of X-Forwarded-For that is not a trusted proxy, as the last proxy saw it."""
    hops = [hop.strip() for hop in forwarded.split(",")]
    while hops and is_trusted(address, trusted):
        hop = _without_port(hops.pop())
        if hop is None:
            break
        address = hop
    return address


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether this peer is a trusted proxy. A peer on a Unix socket has no address and is trusted if any proxy is."""
    if not trusted:
        return False
    if not address:
        return True
    try:
        parsed = ipaddress.ip_address(unmapped(address.partition("%")[0]))
    except ValueError:
        return False
    return any(parsed in network for network in trusted)


def _any(_origin: str, _host: str, _secure: bool) -> bool:
    return True


def _is_same(origin: str, host: str, secure: bool) -> bool:
    scheme: Literal["https", "http"] = "https" if secure else "http"
    parts = _split(origin)
    return parts is not None and parts == _split(f"{scheme}://{host}")


def _split(origin: str) -> tuple[str, str, str] | None:
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None:
        return None
    scheme = match["scheme"]
    # Other schemes (`capacitor://localhost`, `chrome-extension://…`) have no default port.
    return scheme, match["host"], match["port"] or _PORTS.get(scheme, "")


def _without_port(hop: str) -> str | None:
    # Proxies write 192.0.2.1, 192.0.2.1:5678, 2001:db8::1 and [2001:db8::1]:5678.
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return unmapped(str(ipaddress.ip_address(hop)))
    except ValueError:
        return None

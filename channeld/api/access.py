"""Access control: keys, compared in constant time, and the browser's origin."""

import hmac
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

_SCHEME = b"bearer "
# RFC 6761, 6762, 8375, and what Kubernetes and ICANN keep for private use.
_PRIVATE = (".localhost", ".local", ".internal", ".home.arpa", ".test", ".svc", ".cluster.local")


def has_key(authorization: bytes | None, keys: Iterable[str]) -> bool:
    """Whether an `Authorization` header has one of the keys (RFC 6750 section 2.1).

    All keys are compared in constant time, so that timing reveals nothing about any of them.
    """
    given = authorization or b""
    token = given[len(_SCHEME) :].strip() if given[: len(_SCHEME)].lower() == _SCHEME else b""
    found = False
    for key in keys:
        # An empty key is a secret that was not set, and grants nothing.
        found |= hmac.compare_digest(token, key.encode()) and bool(key)
    return found


def is_own_origin(origin: str, host: str | None) -> bool:
    """Whether a browser's `Origin` is this site itself, as for the console's pages."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname or host is None:
        return False
    standard = 443 if parts.scheme == "https" else 80
    named = _authority(host, standard)
    return named == (parts.hostname, port or standard)


def is_private_host(host: str | None) -> bool:
    """Whether a `Host` is safe from DNS rebinding: a web site can't have such a name.

    Addresses, names of one label (`localhost`, a container's) and names below reserved domains are private; so is a request
    without `Host`, which no browser sends.
    """
    if host is None:
        return True
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_PRIVATE)
    return True


def _authority(host: str, standard: int) -> tuple[str | None, int] | None:
    try:
        parts = urlsplit(f"//{host}")
        port = parts.port or standard
    except ValueError:
        return None
    return parts.hostname, port

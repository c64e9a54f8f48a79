"""Says how to reach a bound address from this machine. Only this module knows which hosts mean every interface."""

from typing import Final

_NEAREST: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


def is_every_interface(host: str) -> bool:
    """Whether a host, as in `server.bind` but without brackets, means every interface."""
    return host in _NEAREST


def reachable(bound: str) -> str:
    """The `HOST:PORT` that a client on this machine uses for a bound address: `:4000` becomes `127.0.0.1:4000`.

    A named host and a Unix socket stay as they are.
    """
    host, colon, port = bound.rpartition(":")
    nearest = _NEAREST.get(host.strip("[]"))
    if nearest is None or not colon or not port.isdecimal():
        return bound
    return f"[{nearest}]:{port}" if ":" in nearest else f"{nearest}:{port}"

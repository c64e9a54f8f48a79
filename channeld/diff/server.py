"""Compares the rest of `server` and `backends` that clients notice: TLS, trusted proxies, unreachable backends."""

from collections.abc import Iterator

from channeld.diff.change import Change, Level
from channeld.diff.comparison import Comparison
from channeld.pointer import at

_B, _D = Level.BREAKING, Level.DANGEROUS


def tls(comparison: Comparison) -> Iterator[Change]:
    """`server.tls`: the scheme of the URLs that clients have."""
    was, now = comparison.old.config.server.tls, comparison.new.config.server.tls
    if was is None and now is not None:
        message = "the server now speaks TLS"
        label = "clients that connect to `ws://` are not understood"
        yield comparison.change("D408", _B, message, "/server/tls", key=True, label=label)
    elif was is not None and now is None:
        message = "the server no longer speaks TLS"
        label = "clients that connect to `wss://` fail, unless a proxy adds TLS"
        place, words = "/server/tls", {"label": label, "security": True}
        yield comparison.gone("D408", _B, message, place, near="/server", **words)


def trusted_proxies(comparison: Comparison) -> Iterator[Change]:
    """`server.trusted_proxies`: which address a client has (for limits), and whether its page has the same origin."""
    sides = comparison.old, comparison.new
    was, now = (frozenset(side.config.server.trusted_proxies) for side in sides)
    pointer = "/server/trusted_proxies"
    if was - now:
        message = f"{_listed(was - now)} is no longer trusted as a proxy"
        label = "clients behind it count as one address, and as plain http"
        yield comparison.gone("D414", _D, message, pointer, near="/server", label=label)
    if now - was:
        message = f"{_listed(now - was)} is now trusted as a proxy"
        label = "it decides which address a client has"
        yield comparison.change("D414", _D, message, pointer, label=label, security=True)


def backends(comparison: Comparison) -> Iterator[Change]:
    """`backends.NAME.on_failure`: whether messages pass unchecked while a hook's backend is unreachable."""
    for name, now in comparison.new.config.backends.items():
        was = comparison.old.config.backends.get(name)
        if was is not None and was.on_failure != now.on_failure:
            passes = now.on_failure == "accept"
            done = "now pass" if passes else "are now refused"
            message = f"while the backend `{name}` is unreachable, messages for its hooks {done}"
            pointer = at("/backends", name, "on_failure")
            yield comparison.change("D701", Level.DANGEROUS, message, pointer, security=passes)


def _listed(networks: frozenset[str]) -> str:
    return ", ".join(f"`{network}`" for network in sorted(networks))

"""Rules about backends: their URLs, their secrets, and the hooks that name them."""

import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import SplitResult, urlsplit

from channeld.config.model import Config, HookRef
from channeld.config.rules.evidence import Findings, entries, finding, hooks, secrets
from channeld.config.scalars import is_loopback, is_private
from channeld.config.source import Sources
from channeld.pointer import at
from channeld.protocol.standard_webhooks import signing_key
from channeld.suggest import did_you_mean

_LEAST_SECRET: Final = 32
_LEAST_KEY: Final = 24


def remote_hooks(config: Config) -> Iterator[tuple[HookRef, str]]:
    """Each hook that a backend answers, with its pointer."""
    yield from ((hook, pointer) for hook, pointer in hooks(config) if hook.backend is not None)


def backend_url(config: Config, sources: Sources) -> Findings:
    """CH433: a URL that can't, or must not, be called."""
    for name, backend in config.backends.items():
        pointer = at("/backends", name, "url")
        problem = None if pointer in sources.unset else _problem(backend.url)
        if problem is not None:
            message, help = problem
            yield finding("CH433", f"the URL of backend `{name}` {message}", sources, pointer, help)


def _problem(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        return "is not a URL", "write `https://HOST`"
    if not host or port == 0:
        return "has no host", "write `https://HOST`"
    if "@" in parts.netloc:
        return "contains a user", "requests are signed with `secret`; remove the user"
    if parts.query or parts.fragment:
        return "has a query or a fragment", "write them in the `path` of a hook"
    if parts.scheme == "http" and _is_public(parts):
        return "is sent without TLS", "write `https://`; http is for loopback and private addresses"
    return None


def _is_public(parts: SplitResult) -> bool:
    """Whether an address is public. Names are resolved and checked at each connect."""
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return not (is_loopback(host) or is_private(host))


def backend_secret_weak(config: Config, sources: Sources) -> Findings:
    """CH434: a secret that is too short, or not base64 despite its prefix."""
    for name, backend in config.backends.items():
        for secret, pointer in secrets(sources, backend.secrets, at("/backends", name, "secret")):
            problem = weakness(secret.text)
            if problem:
                message = f"the secret of backend `{name}` {problem}"
                help = "generate one with `openssl rand -hex 32`"
                yield finding("CH434", message, sources, pointer, help)


def weakness(secret: str) -> str:
    """Describes what is wrong with a signing secret; empty if nothing is."""
    if not secret.startswith("whsec_"):
        size = len(secret.encode("utf-8", "surrogatepass"))
        short = f"has {size} bytes; at least {_LEAST_SECRET} are required"
        return short if size < _LEAST_SECRET else ""
    try:
        key = signing_key(secret)
    except ValueError:
        return "starts with `whsec_` and does not continue with base64"
    short = f"is a key of {len(key)} bytes; at least {_LEAST_KEY} are required"
    return short if len(key) < _LEAST_KEY else ""


def backend_undefined(config: Config, sources: Sources) -> Findings:
    """CH435: a hook names a backend that does not exist."""
    known = entries(sources, "/backends")
    for hook, pointer in remote_hooks(config):
        if "/backends" in sources.refused:
            return
        if hook.backend is not None and hook.backend not in known:
            message = f"there is no backend `{hook.backend}`"
            help = did_you_mean(hook.backend, known, "define it under `backends`")
            yield finding("CH435", message, sources, at(pointer, "backend"), help)


def backend_unused(config: Config, sources: Sources) -> Findings:
    """CH436: a backend that no hook names."""
    used = {hook.backend for hook, _ in remote_hooks(config)}
    named = entries(sources, "/backends")
    # An invalid hook, or one that names an unknown backend, may have meant this one.
    if not used <= set(named) or not sources.is_sound:
        return
    for name in named:
        if name not in used and isinstance(sources.written(at("/backends", name)), dict):
            message = f"no hook uses backend `{name}`"
            help = f"write `hook: {{backend: {name}, path: /…}}`, or remove it"
            yield finding("CH436", message, sources, at("/backends", name), help, key=True)

"""What `channeld run` prints when it is ready: each channel's URL, and with `--dev` links that work as they are."""

import re
import time
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from channeld.plan.plan import ChannelPlan, Plan
from channeld.protocol.frames import Json
from channeld.tools.samples import sample
from channeld.tools.tokens import CannotMint, choose, claims_for, mint

__all__ = ["ready_text"]

DEV_USERS = ("ann", "bob")
DEV_LIFETIME = 12 * 3600.0


def ready_text(plan: Plan, addresses: Sequence[str], *, dev: bool) -> str:
    """The channels and their URLs; with `dev` a token in each, and the command to try next."""
    base = _base(plan, addresses)
    width = max(len(name) for name in plan.channels)
    lines = [f"channeld serves {len(plan.channels)} channels on {', '.join(addresses)}", ""]
    lines += [f"  {name:{width}}  {base}{channel.path}" for name, channel in plan.channels.items()]
    if dev:
        lines += ["", *_dev_lines(plan, base)]
    return "\n".join([*lines, ""])


def _base(plan: Plan, addresses: Sequence[str]) -> str:
    scheme = "wss" if plan.server.tls is not None else "ws"
    tcp = next((address for address in addresses if not address.startswith("unix:")), None)
    if tcp is None:
        return f"{scheme}+{addresses[0]}:"
    host, _, port = tcp.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - for showing
    return f"{scheme}://{host}:{port}"


def _dev_lines(plan: Plan, base: str) -> list[str]:
    lines = [f"Ready-made links (tokens for {' and '.join(DEV_USERS)} last 12 hours):", ""]
    first = ""
    for channel in plan.channels.values():
        for user in DEV_USERS if channel.auth else ("",):
            link = _link(plan, channel, base, user)
            first = first or link
            lines += [f"  {channel.name}{' as ' + user if user else ''}", f"    {link}"]
    return [*lines, "", "Try next, in another terminal:", "", f"  channeld connect '{first}'"]


def _link(plan: Plan, channel: ChannelPlan, base: str, user: str) -> str:
    path = re.sub(
        r"\{(\w+)(?:\.\.\.)?\}", lambda found: _sample(plan, channel, found[1]), channel.path
    )
    if not user:
        return base + path
    try:
        minter = choose(plan.config.auth, channel.auth[0].name)
        schema = minter.auth.claims
        claims: Mapping[str, Json] = _sample_claims(schema, user)
        payload = claims_for(minter, user, claims, now=time.time(), lifetime=DEV_LIFETIME)
        return f"{base}{path}?token={quote(mint(minter, payload))}"
    except CannotMint:
        return base + path


def _sample(plan: Plan, channel: ChannelPlan, name: str) -> str:
    schema = plan.config.channels[channel.name].params.get(name)
    for text in ("general", "1", "a"):
        if schema is None or sample(schema, preferred=text) == text:
            return text
    return quote(str(sample(schema, preferred="general")))


def _sample_claims(schema: Json, user: str) -> dict[str, Json]:
    claims = sample(schema, preferred=user.capitalize()) if isinstance(schema, dict) else {}
    return claims if isinstance(claims, dict) else {}

"""What `channeld run` prints when it is ready: each channel's URL, and with `--dev` links that work as they are."""

import re
import time
from collections.abc import Iterator, Sequence
from urllib.parse import quote

import attrs

from channeld.config.reachable import reachable
from channeld.dev.mint import CannotMint, choose
from channeld.plan.plan import AuthPlan, ChannelPlan, Plan
from channeld.schema.sample import sample

__all__ = ["Manner", "NoLink", "ready_text", "token_of"]

DEV_USERS = ("ann", "bob")
DEV_LIFETIME = 12 * 3600.0


@attrs.frozen(kw_only=True)
class Manner:
    """How the server runs: for development, with reloads, with secrets generated for these variables.

    `program` is what a user types to run another command; `console` the URL of the control API, or empty.
    """

    dev: bool = False
    reloads: bool = False
    generated: Sequence[str] = ()
    program: str = "channeld"
    console: str = ""


class NoLink(Exception):
    """Why there is no ready-made link to a channel."""


def ready_text(plan: Plan, addresses: Sequence[str], manner: Manner) -> str:
    """The channels and their URLs; for development also links with a token in each, and what to try next."""
    base = _base(plan, addresses)
    count = len(plan.channels)
    width = max(len(name) for name in plan.channels)
    lines = [
        f"channeld serves {count} channel{'s' * (count > 1)} on {', '.join(addresses)}",
        "",
        *(f"  {name:{width}}  {base}{channel.path}" for name, channel in plan.channels.items()),
        "",
    ]
    if manner.console:
        lines += [f"Control API and console: {manner.console}", ""]
    if manner.dev:
        lines += _dev_lines(plan, base, manner.program)
    habits = list(_habits(manner))
    return "\n".join(lines + ([" ".join(habits), ""] if habits else []))


def _habits(manner: Manner) -> Iterator[str]:
    if manner.generated:
        yield f"Until it stops, a secret was made up for {', '.join(manner.generated)}."
    if manner.reloads:
        yield "Changed files are loaded again."
    if manner.dev:
        yield "Ctrl-C stops."


def _base(plan: Plan, addresses: Sequence[str]) -> str:
    scheme = "wss" if plan.server.tls is not None else "ws"
    tcp = next((address for address in addresses if not address.startswith("unix:")), None)
    if tcp is None:
        # As Node's `ws` and others write a path within a socket's.
        return f"{scheme}+{addresses[0]}:"
    return f"{scheme}://{reachable(tcp)}"


def _dev_lines(plan: Plan, base: str, program: str) -> list[str]:
    links: list[str] = []
    lines: list[str] = []
    for channel in plan.channels.values():
        for user in _users(channel):
            lines.append(f"  {channel.name}{' as ' + user if user else ''}")
            try:
                links.append(_link(plan, channel, base, user))
            except NoLink as error:
                lines.append(f"    no link: {error}")
                break
            lines.append(f"    {links[-1]}")
    head = "Ready-made links"
    if any("?token=" in link for link in links):
        head += f" (the tokens of {' and '.join(DEV_USERS)} last 12 hours)"
    lines = [head + ":", "", *lines, ""]
    if links and not base.startswith(("ws+unix", "wss+unix")):
        lines += ["Try next, in another terminal:", "", f"  {program} connect '{links[0]}'", ""]
    return lines


def _users(channel: ChannelPlan) -> Sequence[str]:
    return DEV_USERS if channel.auth and not channel.auth_optional else ("",)


def _link(plan: Plan, channel: ChannelPlan, base: str, user: str) -> str:
    path = re.sub(
        r"\{(\w+)(?:\.\.\.)?\}", lambda found: _param(plan, channel, found[1]), channel.path
    )
    if not user:
        return base + path
    return f"{base}{path}?token={quote(token_of(plan, channel.auth[0], user))}"


def token_of(plan: Plan, auth: AuthPlan, user: str) -> str:
    """A token for development of an authenticator, with made-up claims.

    Raises:
        NoLink: nothing can sign one, or the claims cannot be guessed.
    """
    try:
        minter = choose(plan.config.auth, auth.name)
        claims = sample(plan.config.auth[auth.name].claims, user.capitalize(), plan.config.schemas)
        claims = claims if isinstance(claims, dict) else {}
        payload = minter.claims_for(user, claims, now=time.time(), lifetime=DEV_LIFETIME)
        token = minter.mint(payload)
    except CannotMint as error:
        raise NoLink(str(error)) from None
    schema = auth.compiled.claims
    if schema is not None and not schema.accepts(payload):
        raise NoLink(
            f"the claims of '{auth.name}' cannot be guessed; try `channeld token --user {user} --claim NAME=VALUE`"
        )
    return token


def _param(plan: Plan, channel: ChannelPlan, name: str) -> str:
    schema = plan.config.channels[channel.name].params.get(name, {})
    value = sample(schema, "general", plan.config.schemas)
    if not isinstance(value, str | int | float):
        raise NoLink(f"no value of {{{name}}} comes to mind for {channel.path}")
    return quote(str(value), safe="")

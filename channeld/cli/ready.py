"""What `channeld run` prints when it is ready: each channel's URL, and with `--dev` ready-made links."""

from collections.abc import Collection, Iterator, Sequence

import attrs

from channeld.cli.links import DEV_USERS, DevLink, api_key, code_of, links
from channeld.config.reachable import reachable
from channeld.plan.plan import Plan


@attrs.frozen
class Manner:
    """How the server runs: in development, with reloads, with secrets generated for these variables.

    `program` is what a user types to run another command; `console` the URL of the control API, or empty; `moved` maps each
    address that was taken to the one used instead.
    """

    dev: bool = False
    reloads: bool = False
    generated: Collection[str] = ()
    program: str = "channeld"
    console: str = ""
    moved: Sequence[tuple[str, str]] = ()


def base_url(plan: Plan, addresses: Sequence[str]) -> str:
    """The server's URL without a path, from the addresses it listens on."""
    scheme = "wss" if plan.server.tls is not None else "ws"
    tcp = next((address for address in addresses if not address.startswith("unix:")), None)
    if tcp is None:
        # The syntax of Node's `ws` and others for a path on a Unix socket.
        return f"{scheme}+{addresses[0]}:"
    return f"{scheme}://{reachable(tcp)}"


def ready_text(plan: Plan, addresses: Sequence[str], manner: Manner) -> str:
    """The channels and their URLs; in development also links with tokens, and what to try next."""
    base = base_url(plan, addresses)
    count = len(plan.channels)
    lines = [
        f"channeld serves {count} channel{'s' * (count > 1)} on {', '.join(addresses)}",
        *(f"({was} is in use, so {now} is used instead)" for was, now in manner.moved),
        "",
        *channel_urls(plan, base),
        "",
    ]
    if manner.console:
        lines += [f"Control API and console: {manner.console}", ""]
    if manner.dev:
        lines += _dev_lines(plan, base, manner)
    habits = list(_habits(manner))
    return "\n".join(lines + ([*habits, ""] if habits else []))


def channel_urls(plan: Plan, base: str) -> Iterator[str]:
    """A line for each channel: its name and its URL."""
    width = max(map(len, plan.channels))
    return (f"  {name:{width}}  {base}{channel.path}" for name, channel in plan.channels.items())


def _habits(manner: Manner) -> Iterator[str]:
    if manner.generated:
        yield f"Secrets generated for this run: {', '.join(manner.generated)}."
    if manner.reloads:
        yield "Changed files are loaded again."
    if manner.dev:
        yield "Ctrl-C stops."


def _dev_lines(plan: Plan, base: str, manner: Manner) -> Iterator[str]:
    found = list(links(plan, base))
    key = api_key(plan)
    site = manner.console.partition("#")[0] if manner.console.startswith("http") and key else ""
    head = "Ready-made links"
    if any("?token=" in link.url for link in found):
        head += f" (the tokens of {' and '.join(DEV_USERS)} last 12 hours)"
    yield f"{head}:"
    yield ""
    for link in found:
        yield f"  {_name(link)}"
        yield f"    no link: {link.reason}" if link.reason else f"    {link.url}"
    yield ""
    pages = [link for link in found if link.url] if site else []
    if pages:
        width = max(len(_name(link)) for link in pages)
        yield "Open in a browser:"
        yield ""
        for link in pages:
            code = code_of(key, link.channel, link.user)
            yield f"  {_name(link):{width}}  {site}go/{code}"
        yield ""
    first = next((link for link in found if link.url), None)
    if first is not None and not base.startswith(("ws+unix", "wss+unix")):
        path = first.url.removeprefix(base).partition("?")[0]
        yield "Try next, in another terminal:"
        yield ""
        yield f"  {manner.program} connect {path}" + (f" --user {first.user}" if first.user else "")
        yield ""


def _name(link: DevLink) -> str:
    return f"{link.channel} as {link.user}" if link.user else link.channel

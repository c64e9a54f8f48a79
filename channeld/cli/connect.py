"""`channeld connect`: talk to a channel by hand, or from a script."""

import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import attrs
import click

from channeld.auth.authenticators import authenticator
from channeld.cli.loading import DEFAULT_FILE, demand_valid, dev_server, environ_of
from channeld.cli.output import has_colour
from channeld.cli.token import DurationType, claim_option, minted
from channeld.plan.load import check
from channeld.plan.plan import ChannelPlan, Plan
from channeld.protocol.frames import Json

if TYPE_CHECKING:
    from channeld.dev import client
    from channeld.dev.address import Opening

PROMPT: Final = "> "
_SHOWN: Final = 5


@click.command("connect")
@click.argument("url")
@click.option(
    "--config",
    default=DEFAULT_FILE,
    show_default=True,
    help="Configuration for bare paths and --user.",
)
@click.option(
    "--token", help="Token, sent as ?token= unless the configuration names another source."
)
@click.option(
    "--user",
    metavar="ID",
    help="Use this user's listed token, or mint one with the configuration's secret.",
)
@claim_option("Claim for --user; repeatable.")
@click.option("--auth", metavar="NAME", help="Authenticator that --user mints a token for.")
@click.option("--send", multiple=True, metavar="JSON", help="Send a frame and exit; repeatable.")
@click.option("--wait", metavar="N|TYPE", help="Exit after N frames, or after one of this type.")
@click.option(
    "--timeout",
    type=DurationType(),
    default="10s",
    show_default=True,
    help="Time for --send and --wait to succeed.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write what was sent and received as a scenario; FILE must not exist.",
)
@click.pass_context
def command(ctx: click.Context, /, **options: object) -> int:
    """Connect to a channel with an interactive client.

    URL is ws://HOST:PORT/PATH, or just /PATH on the server that the configuration declares. With --send or --wait,
    nothing is read from the keyboard: received frames are printed as one line of JSON each, and the exit status is 1 if
    the server refuses, closes, answers with an error, or times out.
    """
    start, file = _start(ctx), ctx.params["record"]
    if file is None:
        return _connect(ctx, start.opening, lambda screen: screen)
    from channeld.cli.recording import (  # noqa: PLC0415 - only where it is asked for
        RecordingScreen,
        demand_new_file,
        recorded,
    )

    demand_new_file(file)
    url = start.here.url
    with recorded(file, ctx.params["config"], start.plan, url, start.token) as recording:
        return _connect(ctx, start.opening, lambda screen: RecordingScreen(screen, recording))


def _connect(
    ctx: click.Context, opening: "Opening", over: "Callable[[client.Screen], client.Screen]"
) -> int:
    """Run the script that the options define, or the interactive client; `over` wraps the screen."""
    import trio  # noqa: PLC0415 - 130 ms that --help and completion do not need

    from channeld.dev import client  # noqa: PLC0415 - as above, with trio-websocket

    wait = ctx.params["wait"]
    if ctx.params["send"] or wait is not None:
        script = client.ClientScript(
            send=tuple(map(_text, ctx.params["send"])),
            wait=_wait(wait),
            timeout=ctx.params["timeout"],
        )
        return trio.run(client.play, opening, script, over(_Plain()))
    return _talk(opening, over)


@attrs.frozen(slots=True, kw_only=True)
class _Start:
    """The target: `here` without the token, `opening` with it; and the configuration, if it was needed."""

    here: "Opening"
    opening: "Opening"
    token: str | None = attrs.field(default=None, repr=False)
    plan: Plan | None = None


def _start(ctx: click.Context) -> _Start:
    """Prepare the handshake: the address, and the token where the channel's authenticator looks for it."""
    from channeld.dev import address  # noqa: PLC0415 - with the client

    given = ctx.params
    if given["token"] is not None and given["user"] is not None:
        raise click.UsageError("--token and --user both identify the client: give only one")
    if given["user"] is None and (given["claims"] or given["auth"]):
        raise click.UsageError(f"{'--claim' if given['claims'] else '--auth'} needs --user USER")
    url, running = given["url"], dev_server(given["config"])
    is_path = url.startswith("/")
    if running is not None and running.url and is_path:
        url = running.url + url
    elif not is_path:
        url = _resolved(url).url
    needs_config = is_path or given["user"] is not None
    # Generated secrets are valid for the server that generated them, and for no other.
    is_there = running is not None and running.is_at(url)
    environ = environ_of(given["config"]) if is_there else os.environ
    plan = None
    if needs_config:
        plan = demand_valid(check(given["config"], import_hooks=False, environ=environ))
    here = _resolved(url, plan)
    token, auth = given["token"], given["auth"]
    if given["user"] is not None and plan is not None:
        channel, claims = _channel(plan, here.url), dict(given["claims"])
        auth, token = _token(plan, channel, auth, given["user"], claims, guesses=is_there)
    elif token is None and plan is not None:
        _hint_at_token(plan, here.url)
    opening = here
    if token is not None:
        opening = address.with_token(here, token, _token_from(plan, auth))
    return _Start(here=here, opening=opening, token=token, plan=plan)


def _resolved(url: str, plan: Plan | None = None) -> "Opening":
    from channeld.dev import address  # noqa: PLC0415 - with the client

    try:
        return address.resolve(url, plan.config.server if plan is not None else None)
    except address.BadAddress as error:
        raise click.UsageError(str(error)) from None


def _channel(plan: Plan, url: str) -> ChannelPlan | None:
    from urllib.parse import urlsplit  # noqa: PLC0415 - with the client

    match = plan.match(urlsplit(url).path)
    return match.channel if match is not None else None


def _token(
    plan: Plan,
    channel: ChannelPlan | None,
    name: str | None,
    user: str,
    claims: Mapping[str, Json],
    *,
    guesses: bool,
) -> tuple[str | None, str]:
    """An authenticator of the channel and a token of the user: one from its list, else a minted one."""
    auths = [] if channel is None else [a for a in channel.auth if name in (None, a.name)]
    listed = [(auth.name, auth.type.listed()) for auth in auths]
    for auth, tokens in listed:
        if user in tokens and not claims:
            return auth, tokens[user]
    name = name or next((auth.name for auth in auths if auth.type.can_mint()), None)
    users = [known for _, tokens in listed for known in tokens]
    if name is None and channel is not None and users:
        raise click.ClickException(
            f"`{channel.name}` accepts listed tokens only: --user {' or '.join(users[:_SHOWN])}"
        )
    return name, minted(plan, name, user, claims, 3600, guesses=guesses)


def _hint_at_token(plan: Plan, url: str) -> None:
    """Without a token the server waits for one, silently, until `auth_timeout`."""
    channel = _channel(plan, url)
    if channel is None or channel.auth_optional:
        return
    users = [user for auth in channel.auth for user in auth.type.listed()]
    if any(auth.type.can_mint() for auth in channel.auth):
        users.append("ann")
    if users:
        hint = f"`{channel.name}` requires a token: add --user {users[0]}, or --token"
        click.echo(hint, err=True)


def _token_from(plan: Plan | None, auth: str | None) -> tuple[str, ...]:
    declared = plan.config.auth.get(auth or "") if plan is not None else None
    return authenticator(declared).token_from() if declared is not None else ("query",)


def _text(given: str) -> str:
    from channeld.dev.prompt import SendCommand, parse_line  # noqa: PLC0415 - with the client

    typed = parse_line(given)
    if not isinstance(typed, SendCommand):
        raise click.UsageError(f"--send {given!r}: {getattr(typed, 'text', 'nothing to send')}")
    return typed.text


def _wait(given: str | None) -> int | str | None:
    if given is not None and given.isascii() and given.removeprefix("-").isdigit():
        if int(given) < 1:
            raise click.UsageError("--wait counts frames from 1")
        return int(given)
    return given


class _Plain:
    """Prints received frames as lines of JSON on stdout; everything else on stderr."""

    def frame(self, arrow: str, value: Json) -> None:
        from channeld.telemetry import one_line  # noqa: PLC0415 - with the client

        if arrow == "←":
            click.echo(one_line(value))
            sys.stdout.flush()

    def notice(self, text: str) -> None:
        click.echo(text, err=True)

    def ended(self, text: str, code: int | None) -> None:
        self.notice(text)


class _Terminal:
    """Prints frames above the line that is being typed, and redraws it below them.

    readline draws its prompt from another thread. That thread holds the screen until readline's hook says that the prompt
    is drawn. Without the hook (libedit), the first frame waits for a time-out and later ones may tear the prompt.
    """

    def __init__(self, line_so_far: Callable[[], str], *, colour: bool) -> None:
        self._line_so_far = line_so_far
        self._colour = colour
        self._is_reading = False
        self._screen = threading.Lock()
        self._has_hook = True

    def read_line(self) -> str:
        """Read a line from the keyboard, edited by readline.

        Raises:
            EOFError: Ctrl-D.
        """
        if self._has_hook:
            self._screen.acquire()
        try:
            return input(PROMPT)
        finally:
            self.begin_reading()  # if the line ended before the hook
            self._is_reading = False

    def begin_reading(self) -> None:
        """Readline's hook: the prompt is drawn."""
        if not self._is_reading:
            self._is_reading = True
            if self._screen.locked():
                self._screen.release()

    def frame(self, arrow: str, value: Json) -> None:
        """Show a frame with its time and direction."""
        from channeld.dev.prompt import paint  # noqa: PLC0415 - with the client

        self._above(paint(arrow, value, colour=self._colour))

    def notice(self, text: str) -> None:
        """Show what is not a frame, dimmed."""
        self._above(f"\x1b[2m{text}\x1b[0m" if self._colour else text)

    def ended(self, text: str, code: int | None) -> None:
        """Show how the server ended it."""
        self.notice(text)

    def _above(self, text: str) -> None:
        self._has_hook = self._has_hook and self._screen.acquire(timeout=0.5)
        try:
            below = f"{PROMPT}{self._line_so_far()}" if self._is_reading else ""
            sys.stdout.write(f"\r\x1b[K{text}\n{below}")
            sys.stdout.flush()
        finally:
            if self._has_hook:
                self._screen.release()


def _talk(opening: "Opening", over: "Callable[[client.Screen], client.Screen]") -> int:
    import trio  # noqa: PLC0415 - as above

    from channeld.dev import client  # noqa: PLC0415 - as above

    if not sys.stdin.isatty():
        lines = _PipedLines()
        return trio.run(lambda: client.converse(opening, over(_Plain()), lines.read, piped=True))
    import readline  # noqa: PLC0415 - changes how input() works, so only here
    import termios  # noqa: PLC0415 - as readline

    click.echo("Write a frame as JSON; /help lists short forms, Ctrl-D leaves.", err=True)
    as_it_was = termios.tcgetattr(sys.stdin)
    screen: client.Screen = _Plain()
    read_line: Callable[[], str] = input
    if sys.stdout.isatty():
        screen = _Terminal(readline.get_line_buffer, colour=has_colour(sys.stdout))
        read_line = screen.read_line
        readline.set_pre_input_hook(screen.begin_reading)
    try:
        return trio.run(client.converse, opening, over(screen), read_line)
    finally:
        # The thread in input() may never return, and would leave the terminal without echo.
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, as_it_was)
        click.echo()


class _PipedLines:
    """Reads lines of a pipe or file without Python's buffer, whose lock an abandoned thread must not hold."""

    def __init__(self) -> None:
        self._pending = b""
        self._ended = False

    def read(self) -> str:
        while b"\n" not in self._pending and not self._ended:
            chunk = os.read(sys.stdin.fileno(), 65536)
            self._ended = not chunk
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        if self._ended and not line and not self._pending:
            raise EOFError
        return line.decode("utf-8", "replace")

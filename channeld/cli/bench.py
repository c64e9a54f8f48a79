"""`channeld bench`: load generated from the configuration, on a server of its own or a running one."""

import math
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from subprocess import PIPE
from urllib.parse import urlsplit

import attrs
import click
import orjson
import trio

from channeld.cli.interrupt import INTERRUPTED
from channeld.cli.loading import DEFAULT_FILE, DevEnvironment, demand_valid, environ_of
from channeld.cli.output import JsonCommand, Unreadable
from channeld.cli.token import DurationType
from channeld.config.scalars import is_loopback
from channeld.dev.address import BadAddress, resolve
from channeld.plan.load import check
from channeld.plan.plan import ChannelPlan, Plan
from channeld.scenarios.load_generator import LoadWatch, cannot_load, run_load
from channeld.scenarios.load_result import Latency, LoadResult

_START = 60.0
_BAR = "▇"
_LONGEST_BAR = 40


@click.command("bench", cls=JsonCommand, empty={"messages": []})
@click.argument("file", default=DEFAULT_FILE, type=click.Path())
@click.option(
    "--clients",
    type=click.IntRange(1, 20_000),
    default=100,
    show_default=True,
    help="Number of clients.",
)
@click.option(
    "--for",
    "seconds",
    type=DurationType(),
    default="10s",
    show_default=True,
    help="How long the clients send.",
)
@click.option("--channel", "names", multiple=True, help="Load this channel only; repeatable.")
@click.option("--url", metavar="URL", help="Load this server instead of one of its own.")
@click.option("--anywhere", is_flag=True, help="Allow a --url on another machine.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(  # noqa: PLR0913 - one for each option
    *,
    file: str,
    clients: int,
    seconds: float,
    names: tuple[str, ...],
    url: str | None,
    anywhere: bool,
    as_json: bool,
) -> int:
    """Load-test a server within what the configuration allows.

    Clients whose claims meet each `require` send valid messages, at most one a second and never above their rates; every
    delivery is counted. Ctrl-C ends it and shows the results so far. Exit status: 1 if a delivery was lost or the server
    was unreachable. Refusals are counted, but are not failures.
    """
    result = _loaded(file, clients, seconds, names, url, anywhere=anywhere)
    _clear_progress()
    if as_json:
        click.echo(orjson.dumps(_document(result), option=orjson.OPT_INDENT_2))
    else:
        click.echo(_text(result))
    if result.is_interrupted:
        return INTERRUPTED
    return 0 if result.is_good else 1


def _loaded(
    file: str,
    clients: int,
    seconds: float,
    names: tuple[str, ...],
    url: str | None,
    *,
    anywhere: bool,
) -> LoadResult:
    base = _base(url, anywhere=anywhere) if url is not None else None
    if base is None and file == "-":
        raise click.UsageError("the benchmarked server reads the file itself; give a file name")
    environ = DevEnvironment(environ_of(file) if base is not None else os.environ)
    plan = demand_valid(check(file, environ=environ, import_hooks=False))
    channels = _channels(plan, names)
    if base is None and plan.server.tls is not None:
        raise click.ClickException("the server speaks TLS: start it, and load it with --url")

    async def load() -> LoadResult:
        stopping = _Stopping()

        def progress(result: LoadResult) -> None:
            stopping.has_begun = True
            _show_progress(seconds, result)

        own = nullcontext(base) if base is not None else _server(file, environ.generated)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stopping.watch)
            async with own as server:
                watch = LoadWatch(progress, stopping.stop)
                result = await run_load(plan, channels, server, clients, seconds, watch)
            nursery.cancel_scope.cancel()
        return result

    return trio.run(load)


@attrs.define(eq=False)
class _Stopping:
    """Handles Ctrl-C: the first ends a load that has begun, any further one ends the command."""

    stop: trio.Event = attrs.field(factory=trio.Event)
    has_begun: bool = False

    async def watch(self) -> None:
        """Watch for Ctrl-C."""
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                if self.stop.is_set() or not self.has_begun:
                    raise KeyboardInterrupt
                self.stop.set()


def _show_progress(seconds: float, result: LoadResult) -> None:
    """A progress line on stderr that overwrites itself, for terminals only."""
    if not sys.stderr.isatty():
        return
    refused = sum(result.errors.values())
    line = (
        f"{min(result.seconds, seconds):.0f} s of {seconds:g} s: {result.connected} clients, "
        f"{result.messages:,} messages, {result.deliveries:,} deliveries"
        + (f", {refused:,} refused" if refused else "")
    )
    width = shutil.get_terminal_size().columns - 1
    click.echo(f"\r\x1b[K{line[:width]}", nl=False, err=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


def _base(url: str, *, anywhere: bool) -> str:
    try:
        parts = urlsplit(resolve(url).url)
    except BadAddress as error:
        raise click.UsageError(str(error)) from None
    if not is_loopback(parts.hostname or "") and not anywhere:
        raise click.UsageError(
            f"{url} is another machine: add --anywhere if it may be put under load"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _channels(plan: Plan, names: tuple[str, ...]) -> list[ChannelPlan]:
    unknown = next((name for name in names if name not in plan.channels), None)
    if unknown is not None:
        raise click.UsageError(f"--channel {unknown}: the configuration has no such channel")
    found = []
    for name in names or plan.channels:
        reason = cannot_load(plan, plan.channels[name])
        if reason:
            click.echo(f"channel {name} is left out: {reason}", err=True)
        else:
            found.append(plan.channels[name])
    if not found:
        raise Unreadable("there is no channel to load")
    return found


@asynccontextmanager
async def _server(file: str, secrets: Mapping[str, str]) -> AsyncIterator[str]:
    """Run a server as a process until the block ends; gives its URL.

    Raises:
        click.ClickException: it did not start; the message ends with its last output.
    """
    line = [sys.executable, "-m", "channeld", "run", file, "--bind", "127.0.0.1:0"]
    with tempfile.TemporaryFile() as said:
        process = await trio.lowlevel.open_process(
            [*line, "--log-format", "json"],
            stdout=PIPE,
            stderr=said.fileno(),
            env={**os.environ, **secrets},
            start_new_session=True,  # so that it does not get Ctrl-C too while deliveries under way are awaited
        )
        try:
            output = process.stdout
            assert output is not None  # noqa: S101 - trio's type can't say which are pipes
            address = await _address(output)
            if address is None:
                said.seek(0)
                last = said.read().decode("utf-8", "replace").strip().splitlines()[-5:]
                raise click.ClickException("the server did not start:\n" + "\n".join(last))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_discard, output)
                yield f"ws://{address}"
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()


async def _address(output: trio.abc.ReceiveStream) -> str | None:
    """The address from its first line; None if it ended or takes too long."""
    text = b""
    with trio.move_on_after(_START):
        async for chunk in output:
            text += chunk
            line, newline, _ = text.partition(b"\n")
            if newline:
                return line.decode().rpartition(" on ")[2].partition(",")[0].strip()
    return None


async def _discard(output: trio.abc.ReceiveStream) -> None:
    async for _chunk in output:
        pass


def _milliseconds(latency: Latency, share: float) -> float | None:
    seconds = latency.percentile(share)
    return None if seconds is None else round(seconds * 1000, 3)


def _document(result: LoadResult) -> dict[str, object]:
    seconds = result.seconds or 1.0
    return {
        "version": 1,
        "clients": result.clients,
        "connected": result.connected,
        "seconds": round(result.seconds, 3),
        "messages": result.messages,
        "messages_per_second": round(result.messages / seconds, 1),
        "deliveries": result.deliveries,
        "deliveries_per_second": round(result.deliveries / seconds, 1),
        "lost": result.lost,
        "away": result.is_away or not result.connected,
        "interrupted": result.is_interrupted,
        "errors": dict(result.errors),
        "closed": dict(result.closed),
        "delivery_ms": {
            "p50": _milliseconds(result.delivery, 0.5),
            "p99": _milliseconds(result.delivery, 0.99),
        },
        "answer_ms": {
            "p50": _milliseconds(result.answer, 0.5),
            "p99": _milliseconds(result.answer, 0.99),
        },
    }


def _histogram(latency: Latency) -> list[str]:
    """A bar for each latency bucket, scaled to the width."""
    rows = latency.histogram()
    most = max((count for _, count in rows), default=0)
    total = latency.buckets.total()
    return [
        f"    to {bound * 1000:>6g} ms  {count / total:>5.1%}  {_BAR * math.ceil(count / most * _LONGEST_BAR)}".rstrip()
        for bound, count in rows
    ]


def _text(result: LoadResult) -> str:
    told = _document(result)
    lines = [
        f"{result.connected} of {result.clients} clients, {result.seconds:.1f} s"
        + (", interrupted" if result.is_interrupted else ""),
        f"  messages    {result.messages:>9}  {told['messages_per_second']:>9} a second",
        f"  deliveries  {result.deliveries:>9}  {told['deliveries_per_second']:>9} a second",
        f"  lost        {result.lost:>9}",
    ]
    for name, latency in (("delivered", result.delivery), ("answered", result.answer)):
        p50, p99 = _milliseconds(latency, 0.5), _milliseconds(latency, 0.99)
        if p50 is not None:
            lines.append(f"  {name:<11} p50 {p50} ms, p99 {p99} ms")
    lines += _histogram(result.delivery if result.delivery.buckets else result.answer)
    lines += [f"  refused     {count:>9}  {code}" for code, count in result.errors.most_common()]
    lines += [f"  closed      {count:>9}  {code}" for code, count in result.closed.most_common()]
    if told["away"]:
        lines.append("  the server was unreachable")
    return "\n".join(lines)

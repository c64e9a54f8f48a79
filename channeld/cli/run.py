"""`channeld run`: validate, then serve; with `--watch` and `--dev` for development."""

import gc
import os
import shutil
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs
import click
import trio

from channeld.app import App, Forced, Reloader
from channeld.broker.broker import BrokerFailed
from channeld.broker.brokers import kind_of
from channeld.cli.announcer import Announcer
from channeld.cli.api_side import bind_api, console_url, parts_of_console, with_dev_api
from channeld.cli.binding import bind_nearby, bind_or_explain
from channeld.cli.interrupt import EARLY, INTERRUPTED, end_within, keep_signals
from channeld.cli.loading import DEFAULT_FILE, DevEnvironment, demand_valid
from channeld.cli.output import Unreadable, has_colour
from channeld.cli.ready import Manner
from channeld.cli.watching import Watched, watch
from channeld.cli.workers import lead, report_for_duty, worker_command
from channeld.config.model import Drain, Tls
from channeld.config.scalars import BadScalar, parse_address
from channeld.diagnostics.diagnostic import Report
from channeld.plan.load import Checked, ValidConfig, check
from channeld.plan.plan import Plan
from channeld.server.broker_link import ALONE
from channeld.server.lifespan import LifespanFailed
from channeld.server.listener import tls_context
from channeld.server.log_writer import off_the_loop
from channeld.server.otel import tracing_from
from channeld.server.systemd import notify
from channeld.server.workers import WorkerChannel
from channeld.telemetry import configure, put

if TYPE_CHECKING:
    from channeld.api.control import Console

LogFormat: TypeAlias = Literal["auto", "console", "json"]
UNSET_VARIABLE = "CH113"
_APART = (
    "While both servers run, clients of one do not hear those of the other, and this one begins without histories: "
    "`broker: memory` is each process's own. With a broker that processes share nothing is lost.\n"
)
COLLECTOR = (2_000, 1, 400)
"""One pause handles at most 6,000 young objects (about 2 ms); the whole heap is scanned after 1.6 million new ones."""


@attrs.define(kw_only=True, eq=False)
class _Loader:
    """Checks the file at the start and on reloads; `shadow` is the plan of the `other` file, read once."""

    file: str
    environ: Mapping[str, str]
    dev: bool
    workers: int | None
    watched: Watched = attrs.field(factory=Watched)
    other: str | None = None
    shadow: Plan | None = None
    log_format: LogFormat | None = None

    def check(self) -> Checked:
        fresh = self.watched.look()
        checked = check(self.file, environ=self.environ, missing_is_error=True, fresh=fresh)
        # A file that could not be read may appear later.
        files = [*checked.sources.files, *checked.sources.unreadable]
        self.watched.take(files, checked.plan)
        return checked

    def plan_of(self, plan: Plan) -> Plan:
        server, config = plan.server, plan.config
        if self.dev:
            # A development server stops without a drain.
            server = attrs.evolve(server, allowed_origins="localhost", drain=Drain(over=0.0))
            config = with_dev_api(config, self.environ)
        if self.log_format is not None:
            config = attrs.evolve(config, log=attrs.evolve(config.log, format=self.log_format))
        if self.workers is not None:
            server = attrs.evolve(server, workers=self.workers)
        return attrs.evolve(plan, server=server, config=config)

    def reload(self, shown: "_Shown") -> Plan | Report:
        checked = self.check()
        shown.checked = checked
        if checked.plan is None:
            return checked.report
        shown.valid = ValidConfig(checked.plan, checked.sources)
        plan = self.plan_of(checked.plan)
        if shown.announcer is not None:
            shown.announcer.reloaded(plan)
        return plan


@attrs.define
class _Shown:
    """The last check, the last valid one, and what announces a changed plan."""

    checked: Checked
    valid: ValidConfig
    announcer: Announcer | None = None

    def report(self, report: Report) -> None:
        """Write a report to stderr."""
        from channeld.diagnostics.render import render_text  # noqa: PLC0415 - only where there is one

        text = render_text(report, self.checked.sources, colour=has_colour(sys.stderr))
        put(text)


def _addresses(
    ctx: click.Context, param: click.Parameter, written: tuple[str, ...]
) -> tuple[str, ...]:
    for address in written:
        if address == "systemd":
            continue
        parsed = parse_address(address)
        if isinstance(parsed, BadScalar):
            raise click.BadParameter(f"'{address}' {parsed.why}; write {parsed.write}", ctx, param)
    return written


@click.command("run")
@click.argument("file", default=DEFAULT_FILE, type=click.Path())
@click.option(
    "--bind",
    "binds",
    multiple=True,
    metavar="ADDRESS",
    callback=_addresses,
    help="Address to listen on: HOST:PORT, unix:PATH or systemd. Overrides server.bind; repeatable.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of worker processes. Overrides server.workers.",
)
@click.option("--watch", "watching", is_flag=True, help="Reload when a file changes.")
@click.option(
    "--dev",
    is_flag=True,
    help="Development mode: --watch, console, generated secrets, localhost origins, ready-made links.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    help="Overrides log.format; auto means console on a terminal and json elsewhere.",
)
@click.option(
    "--take-over",
    is_flag=True,
    help="Share the addresses of a running server of the same user, so that it can be stopped without refusing connections.",
)
@click.option("--quiet", is_flag=True, help="Print no banner when ready.")
@click.option(
    "--shadow",
    "other",
    type=click.Path(),
    metavar="NEW",
    help="Configuration to compare with: reports what it would refuse of the traffic. Its hooks aren't called.",
)
@click.option("--worker", "descriptor", type=int, hidden=True)
def command(  # noqa: PLR0913 - one for each option
    *,
    file: str,
    binds: Sequence[str],
    workers: int | None,
    watching: bool,
    dev: bool,
    log_format: LogFormat | None,
    take_over: bool,
    quiet: bool,
    other: str | None,
    descriptor: int | None,
) -> None:
    """Serve a configuration.

    SIGTERM and Ctrl-C drain and then stop; a second one stops immediately. SIGHUP reloads; SIGUSR1 turns debug lines in the
    log on and off. Logs go to stderr.
    """
    if take_over and dev:
        raise click.UsageError("--take-over is not for --dev, which moves on from a taken address")
    parent = report_for_duty(descriptor)
    environ = DevEnvironment(os.environ, parent.spec.generated if parent else None)
    known = environ if dev else os.environ
    loader = _Loader(
        file=file, environ=known, dev=dev, workers=workers, other=other, log_format=log_format
    )
    shown, plan = _first_check(loader, is_worker=parent is not None)
    number = parent.spec.number if parent else None
    configure(plan.config.log.format, plan.config.log.level, worker=number)
    if take_over and parent is None and not kind_of(plan.config.broker).is_shared:
        click.echo(_APART, err=True)
    tls = _tls(plan.server.tls)
    keep_signals()
    api_sockets = [] if parent else bind_api(plan, may_move=dev, beside=take_over)
    is_leader = plan.server.workers > 1 and parent is None
    addresses = parent.spec.addresses if parent else binds or plan.server.bind
    sockets, moved = ([], []) if is_leader else _bind(addresses, parent, dev=dev, beside=take_over)
    folder = Path(file).parent
    console = console_url(plan, api_sockets, dev=dev)
    made_up, program = environ.generated, _program()
    manner = Manner(dev, dev or watching, made_up.keys(), program, console, moved)
    quiet = quiet or parent is not None
    with Announcer(plan, manner, folder, made_up, is_quiet=quiet) as announcer:
        if is_leader:
            options = _worker_options(loader, log_format, manner, take_over=take_over)
            line = worker_command(file, options)
            lead(plan, line, addresses, made_up, announcer.ready, api=api_sockets, beside=take_over)
            return
        shown.announcer = announcer
        app = _make_app(
            plan,
            partial(loader.reload, shown),
            on_ready=announcer.ready,
            on_refused=shown.report,
            parent=parent,
            shadow=loader.shadow,
            console=partial(parts_of_console, folder, lambda: shown.valid, dev=dev),
        )
        watched = loader.watched if manner.reloads else None
        _run(partial(_serve, app, sockets, tls, watched, parent, api_sockets))


_run = off_the_loop()(trio.run)
"""Runs the server's task, while its log lines are written in a thread."""


def _first_check(loader: _Loader, *, is_worker: bool) -> tuple[_Shown, Plan]:
    """Check the configuration (and the shadow one); both must be valid. Warnings are shown."""
    checked = loader.check()
    valid = ValidConfig(_demand_valid(checked, dev=loader.dev), checked.sources)
    plan = loader.plan_of(valid.plan)
    loader.shadow = _plan_of_shadow(loader.other, loader)
    shown = _Shown(checked, valid)
    if checked.report.warnings and not is_worker:
        shown.report(Report(checked.report.warnings))
    if plan.server.workers > 1 and not kind_of(plan.config.broker).is_shared:
        raise click.UsageError("--workers over 1 needs a broker that processes share")
    return shown, plan


def _plan_of_shadow(file: str | None, loader: _Loader) -> Plan | None:
    """The plan of the shadow configuration, if there is one; its hooks are checked but not imported."""
    if file is None:
        return None
    if file == "-":
        raise click.UsageError("--shadow takes the name of a file")
    checked = check(file, environ=loader.environ, import_hooks=False, missing_is_error=True)
    plan = demand_valid(checked)
    if not loader.dev:
        return plan
    return attrs.evolve(plan, server=attrs.evolve(plan.server, allowed_origins="localhost"))


def spare_collector() -> None:
    """Exclude loaded modules from garbage collection, and collect old objects less often.

    By default the whole heap is scanned whenever it has grown by a quarter, which is a fifth of a connection's cost when
    there are many. Only cycles made by hooks need the collector, and young ones are still found soon.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTOR)


def _worker_options(
    loader: _Loader, log_format: str | None, manner: Manner, *, take_over: bool
) -> list[str]:
    options = ["--dev"] if manner.dev else []
    options += ["--take-over"] if take_over else []
    options += ["--watch"] if manner.reloads else []
    options += ["--log-format", log_format] if log_format else []
    options += ["--shadow", loader.other] if loader.other else []
    return options + (["--workers", str(loader.workers)] if loader.workers else [])


def _make_app(  # noqa: PLR0913 - what it is made of
    plan: Plan,
    reloader: Reloader,
    *,
    on_ready: Callable[[Sequence[str]], None],
    on_refused: Callable[[Report], None],
    parent: WorkerChannel | None,
    shadow: Plan | None,
    console: "Callable[[], Console]",
) -> App:
    place = ALONE
    say: Callable[[str], None] = notify
    if parent is not None:
        place, say = parent.spec.place, parent.say
        on_ready = lambda _addresses: None  # noqa: E731 - the parent announces
        if place.number:
            on_refused = lambda _report: None  # noqa: E731 - one of them shows it
    try:
        app = App(
            plan,
            reloader,
            on_ready=on_ready,
            on_refused=on_refused,
            place=place,
            notify=say,
            last_resort=end_within,
            console=console,
            traced=tracing_from(os.environ),
        )
    except (BrokerFailed, ValueError) as error:
        raise click.ClickException(str(error)) from None
    if shadow is not None:
        app.compare_with(shadow)
    return app


def _demand_valid(checked: Checked, *, dev: bool) -> Plan:
    try:
        return demand_valid(checked)
    except click.ClickException:
        if not dev and any(found.code == UNSET_VARIABLE for found in checked.report.errors):
            hint = "For development, `channeld run --dev` generates each secret that is not set."
            click.echo(hint + "\n", err=True)
        raise


def _bind(
    addresses: Sequence[str], parent: WorkerChannel | None, *, dev: bool, beside: bool
) -> tuple[list[socket], list[tuple[str, str]]]:
    if dev and parent is None:
        return bind_nearby(addresses)
    # Other processes that listen on the address get its connections until this one serves.
    beside = beside or parent is not None
    return bind_or_explain(addresses, beside=beside, listens=not beside), []


def _tls(tls: Tls | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    try:
        return tls_context(tls)
    except OSError as error:
        raise Unreadable(f"server.tls: {error}") from None


async def _serve(
    app: App,
    sockets: Sequence[socket],
    tls: ssl.SSLContext | None,
    watched: Watched | None,
    parent: WorkerChannel | None,
    api_sockets: Sequence[socket],
) -> None:
    spare_collector()
    async with trio.open_nursery() as nursery:
        if parent is not None:
            nursery.start_soon(_watch_parent, parent, app)
        if watched is not None:
            nursery.start_soon(watch, watched, app.reload)
        try:
            await app.run(sockets, tls, api_sockets, EARLY)
        except (LifespanFailed, BrokerFailed) as error:
            raise click.ClickException(str(error)) from None
        except Forced:
            raise click.exceptions.Exit(INTERRUPTED) from None
        nursery.cancel_scope.cancel()


async def _watch_parent(parent: WorkerChannel, app: App) -> None:
    app.cluster.keep_samples = parent.keep
    await parent.obey(app.take_api)
    app.stop()


def _program() -> str:
    """How to call this program again: by name if it is on the path."""
    called = Path(sys.argv[0])
    if shutil.which("channeld") is not None or called.name not in ("channeld", "__main__.py"):
        return "channeld"
    if called.name == "__main__.py":
        return f"{Path(sys.executable).name} -m channeld"
    here = called.absolute()
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)

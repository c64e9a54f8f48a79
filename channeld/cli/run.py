"""`channeld run`: validate, then serve; with `--watch` and `--dev` for development."""

import contextlib
import os
import secrets
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from socket import socket
from typing import Literal

import attrs
import click
import trio

from channeld.app import App, Forced, LifespanFailed
from channeld.cli.loading import DEFAULT_FILE, Checked, check, demand_valid
from channeld.cli.output import Unreadable, has_colour
from channeld.cli.ready import Manner, ready_text
from channeld.cli.watching import Watched, watch
from channeld.config.model import Tls
from channeld.diagnostics.diagnostic import Report
from channeld.plan.plan import Plan
from channeld.server.listener import BindError, bind, tls_context
from channeld.telemetry import configure

__all__ = ["DevEnvironment", "command"]

INTERRUPTED = 130


class DevEnvironment(Mapping[str, str]):
    """The environment, with a generated value for each secret that it lacks; the same one as long as the process lives."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.generated: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name in self._environ:
            return self._environ[name]
        if not any(word in name.upper() for word in ("SECRET", "KEY", "TOKEN", "PASSWORD")):
            raise KeyError(name)
        return self.generated.setdefault(name, secrets.token_urlsafe(36))

    def __iter__(self) -> Iterator[str]:
        return iter({*self._environ, *self.generated})

    def __len__(self) -> int:
        return len({*self._environ, *self.generated})


@attrs.frozen(kw_only=True)
class _Loader:
    """Checks the file for the first time and again."""

    file: str
    environ: Mapping[str, str]
    dev: bool
    watched: Watched

    def check(self) -> Checked:
        fresh = self.watched.look()
        checked = check(self.file, environ=self.environ, missing_is_error=True, fresh=fresh)
        self.watched.take(checked.sources.files, checked.plan)
        return checked

    def plan_of(self, checked: Checked) -> Plan:
        assert checked.plan is not None  # noqa: S101 - the caller has looked
        if not self.dev:
            return checked.plan
        server = attrs.evolve(checked.plan.server, allowed_origins="localhost")
        return attrs.evolve(checked.plan, server=server)

    def reload(self, shown: "_Shown") -> Plan | Report:
        checked = self.check()
        shown.checked = checked
        return checked.report if checked.plan is None else self.plan_of(checked)


@attrs.define
class _Shown:
    """The last check, for showing its report."""

    checked: Checked

    def report(self, report: Report) -> None:
        """Write a report to stderr."""
        from channeld.diagnostics.render import render_text  # noqa: PLC0415 - only where there is one

        text = render_text(report, self.checked.sources, colour=has_colour(sys.stderr))
        click.echo(text, err=True)


@click.command("run")
@click.argument("file", default=DEFAULT_FILE)
@click.option(
    "--bind",
    "binds",
    multiple=True,
    metavar="ADDRESS",
    help="HOST:PORT or unix:PATH, instead of server.bind; repeatable.",
)
@click.option("--workers", type=click.IntRange(1), help="Instead of server.workers.")
@click.option("--watch", "watching", is_flag=True, help="Reload when the files change.")
@click.option("--dev", is_flag=True, help="Watch, generated secrets, localhost origins, links.")
@click.option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    help="Instead of log.format; auto is console on a terminal, json elsewhere.",
)
def command(
    file: str,
    binds: Sequence[str],
    workers: int | None,
    watching: bool,
    dev: bool,
    log_format: Literal["auto", "console", "json"] | None,
) -> None:
    """Serve a configuration.

    SIGTERM and Ctrl-C drain (twice: stop at once), SIGHUP reloads. Logs go to stderr.
    """
    if workers is not None and workers != 1:
        raise click.UsageError("--workers over 1 needs a broker that processes share")
    environ = DevEnvironment(os.environ)
    loader = _Loader(file=file, environ=environ if dev else os.environ, dev=dev, watched=Watched())
    checked = loader.check()
    demand_valid(checked)
    shown = _Shown(checked)
    if checked.report.warnings:
        shown.report(_warnings(checked.report))
    plan = loader.plan_of(checked)
    configure(log_format or plan.config.log.format, plan.config.log.level)
    manner = Manner(dev=dev, reloads=dev or watching, generated=tuple(environ.generated))
    tls = _tls(plan.server.tls)
    sockets = _bind(binds or plan.server.bind)
    app = App(
        plan,
        partial(loader.reload, shown),
        on_ready=lambda addresses: _say(ready_text(plan, addresses, manner)),
        on_refused=shown.report,
    )
    trio.run(_serve, app, sockets, tls, loader.watched if manner.reloads else None)


def _bind(addresses: Sequence[str]) -> list[socket]:
    try:
        return bind(addresses)
    except BindError as error:
        raise click.ClickException(str(error)) from None


def _tls(tls: Tls | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    for file in (tls.certificate, tls.key):
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise Unreadable(f"server.tls: {file}: {error.strerror}") from None
    try:
        return tls_context(tls)
    except OSError:
        # OpenSSL's own words say nothing that helps.
        pair = f"{tls.certificate} and {tls.key}"
        why = "are no PEM certificate and the unencrypted key that belongs to it"
        raise Unreadable(f"server.tls: {pair} {why}") from None


async def _serve(
    app: App, sockets: Sequence[socket], tls: ssl.SSLContext | None, watched: Watched | None
) -> None:
    async with trio.open_nursery() as nursery:
        if watched is not None:
            nursery.start_soon(watch, watched, app.reload)
        try:
            await app.run(sockets, tls)
        except LifespanFailed as error:
            raise click.ClickException(str(error)) from None
        except Forced:
            raise click.exceptions.Exit(INTERRUPTED) from None
        nursery.cancel_scope.cancel()


def _say(text: str) -> None:
    # Whoever read the first lines of it may be gone (`channeld run | head`): no reason to stop.
    with contextlib.suppress(OSError):
        click.echo(text)


def _warnings(report: Report) -> Report:
    warnings = Report()
    warnings.extend(report.warnings)
    return warnings

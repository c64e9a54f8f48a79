"""`channeld mock`: serves a configuration for front-end work, without secrets, hooks or a back end."""

import os
from collections.abc import Sequence
from functools import partial

import click
import trio

from channeld.app import App, Forced
from channeld.cli.binding import bind_or_explain
from channeld.cli.interrupt import EARLY, INTERRUPTED, keep_signals
from channeld.cli.loading import DEFAULT_FILE, DevEnvironment, demand_valid
from channeld.cli.ready import base_url, channel_urls
from channeld.cli.token import DurationType
from channeld.config.scalars import TcpAddress, is_loopback, parse_address
from channeld.plan.load import check
from channeld.plan.plan import Plan
from channeld.scenarios.mock import agreeing, make_up, mock_app
from channeld.server.log_writer import off_the_loop
from channeld.telemetry import configure


@click.command("mock")
@click.argument("file", default=DEFAULT_FILE, type=click.Path())
@click.option(
    "--bind", default="127.0.0.1:4000", show_default=True, metavar="ADDRESS", help="HOST:PORT."
)
@click.option("--public", is_flag=True, help="Allow an address that other machines can reach.")
@click.option(
    "--every",
    default="2s",
    type=DurationType(),
    show_default=True,
    help="How often an event is generated.",
)
def command(*, file: str, bind: str, public: bool, every: float) -> None:
    """Serve a configuration for front-end work.

    Any token is accepted, and so is ?user=ann&claims={"role":"admin"}. Hooks always agree. Declared events are generated
    from schemas and examples. What a real server would refuse is refused.
    """
    address = parse_address(bind)
    if not isinstance(address, TcpAddress):
        raise click.BadParameter(f"'{bind}' is not HOST:PORT", param_hint="--bind")
    if not is_loopback(address.host) and not public:
        raise click.UsageError(
            f"{bind} can be reached from other machines, and a mock accepts anyone: add --public if that is intended"
        )
    plan = demand_valid(check(file, environ=DevEnvironment(os.environ), import_hooks=False))
    configure("auto", "warning")
    keep_signals()
    sockets = bind_or_explain([bind], how="To use another address: --bind HOST:PORT")
    app = mock_app(agreeing(plan), partial(_say, plan))
    try:
        off_the_loop()(trio.run)(partial(_serve, app, sockets, every))
    except Forced:
        raise click.exceptions.Exit(INTERRUPTED) from None


def _say(plan: Plan, addresses: Sequence[str]) -> None:
    urls = channel_urls(plan, base_url(plan, addresses))
    click.echo("\n".join(["channeld mocks on " + ", ".join(addresses), "", *urls, ""]))
    click.echo("Any token is accepted, and so is ?user=ann. Ctrl-C stops.")


async def _serve(app: App, sockets: Sequence[object], every: float) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(make_up, app, every)
        await app.run(sockets, early=EARLY)  # type: ignore[arg-type]
        nursery.cancel_scope.cancel()

"""`channeld run` with several workers: the parent's part, and what a worker does differently."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from socket import socket

import click
import trio

from channeld.broker.broker import BrokerFailed, PrivateServer
from channeld.broker.brokers import kind_of
from channeld.cli.binding import explained
from channeld.cli.interrupt import EARLY, INTERRUPTED
from channeld.plan.plan import Plan
from channeld.server.log_writer import off_the_loop
from channeld.server.sockets import BindError, release
from channeld.server.workers import (
    Supervisor,
    WorkerChannel,
    WorkersFailed,
    WorkerSpec,
    reserve,
)


def worker_command(file: str, options: Sequence[str]) -> list[str]:
    """The command that starts a worker, without its descriptor: the same Python, with the same module path.

    Raises:
        click.UsageError: the configuration comes from standard input.
    """
    if file == "-":
        raise click.UsageError("each worker reads the file itself; give a file name")
    # `python -m channeld` has the current folder on its path, the installed script does not.
    safe = [] if sys.path and sys.path[0] in ("", str(Path.cwd())) else ["-P"]
    return [sys.executable, *safe, "-m", "channeld", "run", file, *options, "--worker"]


@off_the_loop()
def lead(  # noqa: PLR0913 - what a server of several processes is made of
    plan: Plan,
    command: Sequence[str],
    addresses: Sequence[str],
    generated: Mapping[str, str],
    on_ready: Callable[[Sequence[str]], None],
    *,
    api: Sequence[socket] = (),
    beside: bool = False,
) -> None:
    """Start the workers and run until all have drained; `on_ready` gets the addresses, and one worker serves `api`.

    Raises:
        click.ClickException: an address is taken, the private server of the broker or a worker could not start.
        click.exceptions.Exit: it was interrupted twice.
    """
    try:
        make = kind_of(plan.config.broker).private_server
        server = make() if make is not None else None
        reserved, names = reserve(addresses, beside=beside)
    except BindError as error:
        raise explained(error, beside=beside) from None
    except BrokerFailed as error:
        raise click.ClickException(str(error)) from None
    supervisor = Supervisor(
        command,
        plan.server.workers,
        WorkerSpec(
            addresses=names,
            broker_url=server.url if server is not None else None,
            generated=generated,
        ),
        api=api,
        on_ready=lambda: on_ready(names),
    )
    try:
        trio.run(_run, supervisor, server)
    finally:
        for sock in (*reserved, *api):
            release(sock)
    if supervisor.is_forced:
        raise click.exceptions.Exit(INTERRUPTED)


async def _run(supervisor: Supervisor, server: PrivateServer | None) -> None:
    async with trio.open_nursery() as nursery:
        try:
            if server is not None:
                await nursery.start(server.run)
            await supervisor.run(EARLY)
        except (WorkersFailed, BrokerFailed) as error:
            raise click.ClickException(str(error)) from None
        nursery.cancel_scope.cancel()


def report_for_duty(descriptor: int | None) -> WorkerChannel | None:
    """The channel to the parent; None if this process is not a worker.

    Raises:
        click.UsageError: the descriptor is not a parent's.
    """
    if descriptor is None:
        return None
    with suppress(OSError, ValueError, TypeError):
        return WorkerChannel(descriptor)
    raise click.UsageError("--worker is for channeld itself; use --workers")

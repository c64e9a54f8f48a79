"""The control API's side of `channeld run`: a generated key for development, the address, the console's link."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Final

import attrs
import click

from channeld.cli.binding import BY_CONFIG, bind_nearby, bind_or_explain, is_left
from channeld.cli.links import api_key
from channeld.config.model import Api, Config, Secret
from channeld.config.reachable import reachable
from channeld.plan.load import ValidConfig
from channeld.plan.plan import Plan
from channeld.server.sockets import named

if TYPE_CHECKING:
    from channeld.api.control import Console

_KEY: Final = "CHANNELD_API_KEY"
_SHORTEST_KEY: Final = 32


def with_dev_api(config: Config, environ: Mapping[str, str]) -> Config:
    """Enable the API for development; if the configuration has none, with the key from CHANNELD_API_KEY.

    Raises:
        click.ClickException: the key is too short.
    """
    if config.api is not None:
        return config
    key = environ[_KEY]
    if len(key) < _SHORTEST_KEY:
        raise click.ClickException(f"{_KEY} has fewer than {_SHORTEST_KEY} characters")
    return attrs.evolve(config, api=Api(keys=(Secret(text=key),)))


def bind_api(plan: Plan, *, may_move: bool, beside: bool = False) -> list[socket]:
    """Bind sockets for the API, if there is one; with `may_move`, on another port if its own is taken.

    Raises:
        click.ClickException: the address is taken.
    """
    api = plan.config.api
    if api is None:
        return []
    if may_move:
        sockets, _moved = bind_nearby([api.bind])
        return sockets
    try:
        return bind_or_explain([api.bind], beside=beside, listens=not beside, how=BY_CONFIG)
    except click.ClickException:
        if beside or not is_left(api.bind):
            raise
    return bind_or_explain([api.bind], beside=True, listens=False)


def console_url(plan: Plan, sockets: Sequence[socket], *, dev: bool) -> str:
    """The console's URL, in development with the key, which the page takes from the link. Empty: there is no console."""
    address = next(map(named, sockets), "")
    if not address or address.startswith("unix:"):
        return address
    key = api_key(plan) if dev else ""
    return f"http://{reachable(address)}/" + (f"#key={key}" if key else "")


def parts_of_console(folder: Path, valid: Callable[[], ValidConfig], *, dev: bool) -> "Console":
    """The parts of the console that the API itself does not provide."""
    from channeld.cli.console import make_console  # noqa: PLC0415 - 100 ms, only for the control API

    return make_console(folder, valid, dev=dev)

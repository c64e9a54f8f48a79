"""What `channeld run` announces: on stdout when it is ready, and to other commands in development."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import attrs
import click

from channeld.cli.links import api_key
from channeld.cli.ready import Manner, base_url, ready_text
from channeld.dev import dev_file
from channeld.plan.plan import Plan


def say(text: str) -> None:
    """Write to stdout; a closed pipe (`channeld run | head`) does not stop the server."""
    with contextlib.suppress(OSError):
        click.echo(text)


@attrs.define(eq=False)
class Announcer:
    """Announces what is served, where, and how to reach it.

    Attributes:
        plan: the plan that is served.
        manner: how it is served.
        folder: the configuration's folder, for `.channeld/dev.json`.
        secrets: values generated for this run, by variable; a reload may add some.
        is_quiet: print nothing on stdout.
    """

    plan: Plan
    manner: Manner
    folder: Path
    secrets: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    is_quiet: bool = attrs.field(default=False, kw_only=True)
    _addresses: Sequence[str] = ()
    _left: dev_file.DevServer | None = None

    def ready(self, addresses: Sequence[str]) -> None:
        """Announce the addresses that the server listens on."""
        self._addresses = addresses
        if self.manner.dev:
            self._write_file()
        self._say()

    def reloaded(self, plan: Plan) -> None:
        """Announce a changed configuration before it is applied; links are printed again if channels have changed."""
        is_news = _reached(plan) != _reached(self.plan)
        self.plan = plan
        if self.manner.dev and self._addresses:
            self._write_file()  # it may read secrets that were not needed before
            if is_news:
                self._say()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The server has ended."""
        if self.manner.dev:
            dev_file.remove(self.folder, os.getpid())
            if not self.is_quiet:
                say("Stopped.")

    def _say(self) -> None:
        if not self.is_quiet:
            say(ready_text(self.plan, self._addresses, self.manner))

    def _write_file(self) -> None:
        base = base_url(self.plan, self._addresses)
        server = dev_file.DevServer(
            pid=os.getpid(),
            url="" if "+unix:" in base else base,
            api_url=self.manner.console.partition("/#")[0],
            key=api_key(self.plan),
            secrets=dict(self.secrets),
        )
        if server == self._left:
            return
        self._left = server
        try:
            dev_file.write(self.folder, server)
        except OSError as error:
            why = f"{self.folder / dev_file.FOLDER}: {error.strerror}"
            click.echo(f"Warning: other commands will not find this server: {why}", err=True)


def _reached(plan: Plan) -> list[tuple[str, str, tuple[str, ...]]]:
    """The addresses that links are made from."""
    return [
        (channel.name, channel.path, tuple(auth.name for auth in channel.auth))
        for channel in plan.channels.values()
    ]

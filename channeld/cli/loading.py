"""Loads configurations for commands: checked, and refused with a report if they must be valid."""

import os
import secrets
import sys
from collections import ChainMap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from channeld.cli.output import Unreadable, has_colour
from channeld.config.model import Config
from channeld.dev import dev_file
from channeld.dev.dev_file import DevServer
from channeld.diagnostics.diagnostic import Report
from channeld.plan.load import Checked, check
from channeld.plan.plan import Plan

DEFAULT_FILE: Final = "channels.yaml"


def demand_valid(checked: Checked) -> Plan:
    """The plan, for commands that need a valid configuration; otherwise errors are shown on stderr.

    Raises:
        click.ClickException: there are errors (exit 1), or the file cannot be read (exit 2).
    """
    if checked.unreadable:
        hint = "; name the file, go to its folder, or create a project with `channeld init`"
        hint = hint if checked.file == DEFAULT_FILE else ""
        raise Unreadable(f"{checked.file}: {checked.unreadable}{hint}")
    if checked.plan is not None:
        return checked.plan
    from channeld.diagnostics.render import render_text  # noqa: PLC0415 - only when there is something to show

    errors = Report(checked.report.errors)
    click.echo(render_text(errors, checked.sources, colour=has_colour(sys.stderr)), err=True)
    raise click.ClickException(f"{checked.file} is not valid")


def dev_server(file: str) -> DevServer | None:
    """The development server that runs for a configuration, or None."""
    return None if file == "-" else dev_file.read(Path(file).parent)


def environ_of(file: str) -> Mapping[str, str]:
    """The environment, with the secrets of a running `channeld run --dev` of the file as defaults."""
    running = dev_server(file)
    return os.environ if running is None else ChainMap(os.environ, dict(running.secrets))


class DevEnvironment(Mapping[str, str]):
    """The environment, with a generated value for each missing secret, fixed for the life of the process."""

    def __init__(
        self, environ: Mapping[str, str], generated: Mapping[str, str] | None = None
    ) -> None:
        self._environ = environ
        self.generated = dict(generated or {})

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


def checked_config(file: str) -> Config:
    """The configuration of a valid file, without importing hooks.

    Raises:
        click.ClickException: as `demand_valid`.
    """
    return demand_valid(check(file, import_hooks=False, environ=environ_of(file))).config

"""`channeld connect --record`: records a conversation as a scenario file."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import attrs
import click

from channeld.auth.authenticators import authenticator
from channeld.auth.token_places import placed
from channeld.cli.loading import DevEnvironment
from channeld.dev.client import Screen
from channeld.plan.load import check
from channeld.plan.plan import Plan
from channeld.plan.sensitive import SensitiveFrames
from channeld.protocol.frames import Json
from channeld.scenarios.recording import Recording, client_of


@attrs.define
class RecordingScreen:
    """A screen that also records what it shows."""

    screen: Screen
    recording: Recording

    def frame(self, arrow: str, value: Json) -> None:
        """Record and show a frame."""
        if arrow == "→":
            self.recording.sent(value)
        else:
            self.recording.received(value)
        self.screen.frame(arrow, value)

    def notice(self, text: str) -> None:
        """Show what is not part of the conversation."""
        self.screen.notice(text)

    def ended(self, text: str, code: int | None) -> None:
        """Record and show how the server ended it."""
        if code is not None:
            self.recording.ended(code)
        self.screen.ended(text, code)


def demand_new_file(file: str) -> None:
    """Check that a recording can be written, before anything is sent.

    Raises:
        click.UsageError: the file exists, or its folder does not.
    """
    path = Path(file)
    if path.exists():
        raise click.UsageError(f"--record {file}: the file exists, and is not overwritten")
    if not path.absolute().parent.is_dir():
        raise click.UsageError(f"--record {file}: there is no such folder")


@contextmanager
def recorded(
    file: str, config: str, plan: Plan | None, url: str, token: str | None
) -> Iterator[Recording]:
    """Record until the block ends, and write to `file`, which must not exist, however it ends.

    `config` is the configuration that the scenario is for; without its `plan`, it has not been read and need not exist. `url` has
    no `token`, which the command adds.
    """
    if plan is None:
        plan = check(config, import_hooks=False, environ=DevEnvironment(os.environ)).plan
    if plan is None and Path(config).is_file():
        click.echo(f"Warning: {config} is not valid, so sensitive values are not masked", err=True)
    client = client_of(url, token, _token_places(plan))
    match = plan.match(urlsplit(url).path) if plan is not None else None
    if match is not None and not match.channel.auth:
        client = {"path": client["path"]}
    claims = client.get("claims")
    if isinstance(claims, dict) and plan is not None:
        client["claims"] = plan.sensitive.told_claims(claims)
    query = parse_qsl(urlsplit(url).query)
    hidden = {value for _name, value in query if value not in str(client["path"])}
    recording = Recording(
        client=client,
        clock=lambda: (time.monotonic(), time.time()),
        sensitive=plan.sensitive if plan is not None else SensitiveFrames(),
        secrets=hidden | ({token} if token else set()),
    )
    try:
        yield recording
    finally:
        where = Path(file).absolute().parent
        told = os.path.relpath(config, where) if Path(config).is_file() else ""
        with Path(file).open("x", encoding="utf-8") as to:
            to.write(recording.text(told))
        click.echo(f"recorded in {file}", err=True)


def _token_places(plan: Plan | None) -> set[str]:
    """The query parameters in which authenticators look for tokens."""
    auths = plan.config.auth.values() if plan is not None else ()
    places = [placed(word) for auth in auths for word in authenticator(auth).token_from()]
    return {name for kind, name in places if kind == "query"}

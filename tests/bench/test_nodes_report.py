"""The report of the nodes' bench: medians, failures in their cells, the page between its markers, sums that follow."""

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "bench"))

import capacity  # type: ignore[import-not-found] # noqa: E402
import nodes_report  # type: ignore[import-not-found] # noqa: E402

PARTS = {"memory": [10.0, 0.0], "worker": [60.0, 20.0], "nodes": [100.0, 50.0, 22.0]}


def fan(rate: float, parts: list[float]) -> dict[str, Any]:
    """What one load of a set-up gave."""
    latency = {"p50_us": 1000.0, "p99_us": 2000.0}
    cpu = {"us": 5.0, "servers_us": 4.0, "valkey_us": parts[-1] and 1.0, "message_us": parts}
    busy = {"server_busy": 1.0, "client_busy": 0.5, "message_rate": 500.0}
    quiet: dict[str, Any] = {"foreign": 0.01, "disturbed": []}
    return {"rate": rate} | latency | cpu | busy | quiet


def result(rate: float, parts: list[float]) -> dict[str, Any]:
    """What one run of a set-up gave."""
    works: dict[str, Any] = {name: fan(rate, parts) for name in nodes_report.LOADS}
    works |= {name: fan(rate, parts) for name in nodes_report.COMING}
    api: dict[str, Any] = {
        "us": 400.0,
        "servers_us": 350.0,
        "valkey_us": 50.0,
        "p50_us": 400.0,
        "p99_us": 900.0,
    }
    api |= {"foreign": 0.02, "disturbed": [{}]}
    processes = [{"part": "server", "name": "python", "cores": [0]}]
    return works | {"publish": api, "batch": api, "processes": processes, "errors": {}}


def record(*rates: float) -> dict[str, Any]:
    """Runs of channeld's set-ups, in each of which every rate is the same."""
    machine = {"date": "2026-11-24", "cpu": "a CPU", "cores": "2", "system": "x", "python": "3"}
    runs = [{name: result(rate, parts) for name, parts in PARTS.items()} for rate in rates]
    told = {"seconds": 3.0, "senders": 20, "client_core": 1, "versions": {}, "absent": {}}
    return {"machine": machine, "commit": "abcdef12", "runs": runs} | told


def row(text: str, title: str) -> str:
    """The first line of a set-up's that follows a title."""
    lines = text[text.index(title) :].splitlines()
    return next(line for line in lines if line.startswith("| **channeld**, 2 nodes"))


def test_shows_medians_and_how_far_the_runs_lie_apart() -> None:
    text = nodes_report.tables(record(90_000, 100_000, 200_000))
    assert row(text, "### Deliveries").count("100k") == 7
    assert "medians of 3 interleaved runs of 3 s" in text
    assert "A rate differed between the runs by 110% (median), 110% at most." in text
    assert "Cores: every server process: core 0; load client and the API's caller: core 1." in text


def test_says_how_much_others_took_and_what_was_measured_again() -> None:
    text = nodes_report.tables(record(1000))
    assert "took 1% of the two cores meanwhile. At most it was 2% (worker, publish, run 1)." in text
    assert "6 measurements were thrown away for more than 10%." in text


def test_ratios_are_those_of_one_run() -> None:
    it = record(1000)
    for work in nodes_report.COMING:
        it["runs"][0]["nodes"][work]["us"] = 7.5
    text = nodes_report.tables(it)
    assert row(text, "### CPU as a multiple of: **channeld**, one node").endswith(
        "| 1.50 | 1.50 | 1.50 |"
    )
    assert row(text, "### A client that comes and goes").endswith(
        "| 4.00 + 1.00 | 4.00 + 1.00 | 4.00 + 1.00 |"
    )


def test_servers_and_valkey_are_apart() -> None:
    text = nodes_report.tables(record(1000))
    assert row(text, "### CPU µs per delivery").count("| 4.00 + 1.00 ") == 7
    assert "| 100 / 50 / 22 |" in row(text, "### CPU µs for a message")
    assert "| 4.00 |" in next(
        line for line in text.splitlines() if "memory" in line and "4" in line
    )


def test_a_work_that_failed_says_so_in_its_cell() -> None:
    all_failed, once = record(1000, 1000), record(1000, 1000)
    for run in all_failed["runs"]:
        del run["nodes"]["one"]
        run["nodes"]["errors"]["one"] = "fan: member 3: altered text"
    del once["runs"][0]["nodes"]["one"]
    once["runs"][0]["nodes"]["errors"]["one"] = "fan: no delivery for 20 s"
    assert "| **failed** | 1.0k |" in row(nodes_report.tables(all_failed), "### Deliveries")
    text = nodes_report.tables(once)
    assert "1.0k (**failed** in 1 of 2 runs) |" in row(text, "### Deliveries")
    assert "- nodes, run 1, one: fan: no delivery for 20 s" in text


def test_servers_that_did_not_start_failed_at_everything() -> None:
    it = record(1000)
    it["runs"][0]["nodes"] = {"errors": {"start": "nodes-0 did not start: why"}}
    text = nodes_report.markdown(it)
    assert row(text, "### Deliveries").count("**failed**") == 7
    assert "Not computed: `rooms` of the set-up `worker`" not in text
    assert "Not computed: `rooms` of the set-up `nodes` was not measured." in text


def test_what_is_not_installed_says_so() -> None:
    it = record(1000)
    it["absent"]["socket.io"] = "there is no `node` here"
    text = nodes_report.tables(it)
    assert "Redis adapter: not installed: there is no `node` here | – | – |" in text


def test_prices_come_from_the_record() -> None:
    it = capacity.price(record(1000), "rooms")
    assert (it.sender, it.other, it.valkey, it.member) == (100, 50, 20, 5)
    assert it.more == pytest.approx(2)
    assert it.servers(10) == pytest.approx(capacity.MESSAGES * (100 + 9 * 50) / 1e6)
    assert it.servers(1) == pytest.approx(capacity.MESSAGES * (100 + 9 * 5) / 1e6)
    assert it.broker(10) == pytest.approx(capacity.MESSAGES * (20 + 9 * 2) / 1e6)


def test_the_sums_follow_from_the_prices() -> None:
    text = capacity.sums(record(1000))
    assert "| senders' nodes | messages × 100 or 100 µs | 1.7 | 1.7 |" in text
    assert "| cores, members on 10 nodes | the first two | 9.2 | 9.2 |" in text
    assert "So about 20 cores" in text
    assert "| one node, publishes | 1 s ÷ 100 µs | 10,000 |" in text
    assert (
        "| Valkey's part of that | connections × 1 µs ÷ Valkeys | 1 s of one Valkey, 0 s of four |"
        in text
    )


def test_reads_what_a_connection_takes_off_the_benchmarks_page() -> None:
    page = "<!-- bench: begin -->\n\n2026-11-24, full\n\n| **channeld** | a | b | c | d | 5k | 198 | 3.8 |\n"
    assert capacity.connecting(page) == capacity.Connecting(3.8, 198.0, "2026-11-24")
    with pytest.raises(capacity.NotMeasuredError):
        capacity.connecting(page.replace("198 |", ""))
    assert capacity.connecting(capacity.BENCHMARKS.read_text(encoding="utf-8")).kib > 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(16_667, "17,000"), (166_667, "170,000"), (66.7, "67"), (1.25, "1.2"), (0, "0")],
)
def test_sums_have_two_digits(value: float, text: str) -> None:
    assert capacity.thousands(value) == text

from collections.abc import Iterable

import attrs
import pytest
from prometheus_client.parser import text_string_to_metric_families

from channeld.plan.plan import MessageCounters
from channeld.telemetry import BUCKETS, METRICS, Histogram, Sample, counted, exposition


def samples(told: Iterable[Sample]) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(exposition(told).decode())
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_counters_are_read_when_they_are_scraped() -> None:
    counters = MessageCounters()
    told = counted("channeld_messages_total", ("room", "message", "sse"), counters)
    counters.accepted += 2
    counters.rate_limited += 1
    found = samples(told)
    assert found["channeld_messages_total", ("room", "accepted", "sse", "message")] == 2
    assert found["channeld_messages_total", ("room", "rate_limited", "sse", "message")] == 1
    assert len(found) == len(attrs.fields(MessageCounters))


def test_samples_of_the_same_labels_add_up() -> None:
    one = [Sample("channeld_connections", 2, ("room", "sse"))]
    other = [
        Sample("channeld_connections", 3, ("room", "sse")),
        Sample("channeld_connections", 1, ("lobby", "sse")),
    ]
    assert samples([*one, *other]) == {
        ("channeld_connections", ("room", "sse")): 5,
        ("channeld_connections", ("lobby", "sse")): 1,
    }


def test_a_histogram_is_cumulated() -> None:
    took = Histogram()
    for seconds in (0.00001, 0.00002, 0.3, 60):
        took.observe(seconds)
    found = samples([Sample("channeld_hook_seconds", took, ("a:b",))])
    assert found["channeld_hook_seconds_bucket", ("a:b", "1e-05")] == 1
    assert found["channeld_hook_seconds_bucket", ("a:b", "0.5")] == 3
    assert found["channeld_hook_seconds_bucket", ("a:b", "+Inf")] == 4
    assert found["channeld_hook_seconds_count", ("a:b",)] == 4
    assert found["channeld_hook_seconds_sum", ("a:b",)] == pytest.approx(60.30003)


def test_histograms_add_up() -> None:
    one, other = Histogram(), Histogram()
    one.observe(1)
    other.observe(2)
    source = [Sample("channeld_hook_seconds", each, ("a:b",)) for each in (one, other)]
    assert samples(source)["channeld_hook_seconds_count", ("a:b",)] == 2
    assert sum(one.counts) == 1


def test_a_value_on_a_bound_is_within_it() -> None:
    took = Histogram()
    took.observe(BUCKETS[3])
    assert took.counts[3] == 1


def test_wrong_labels_are_a_bug() -> None:
    with pytest.raises(
        ValueError, match=r"channeld_connections has the labels \('channel', 'transport'\)"
    ):
        exposition([Sample("channeld_connections", 1)])


def test_nobody_counting_gives_an_empty_page() -> None:
    assert exposition([]) == b""


def test_no_label_is_named_after_what_clients_choose() -> None:
    labels = {label for metric in METRICS.values() for label in metric.labels}
    assert labels <= {
        "backend",
        "channel",
        "transport",
        "type",
        "result",
        "hook",
        "shard",
        "webhook",
        "version",
        "python",
        "kind",
        "reason",
    }


@pytest.mark.parametrize("name", METRICS)
def test_names_follow_the_conventions(name: str) -> None:
    assert name.startswith("channeld_")
    assert name.endswith("_total") == (METRICS[name].kind == "counter")
    assert METRICS[name].help.endswith(".")

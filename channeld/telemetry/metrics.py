"""The table of metrics, and the Prometheus text of samples of them.

A labelled counter of prometheus_client costs a microsecond per count, a plain integer 0.04. So code counts with integers
and makes samples of them when it is scraped. prometheus_client is imported with the first scrape.
"""

import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, Literal, NamedTuple

import attrs


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@attrs.frozen(slots=True)
class Metric:
    """What one metric counts. `labels` have values from the configuration or from a fixed set, never from a client."""

    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = attrs.field(converter=_words)
    help: str


_counter, _gauge = partial(Metric, "counter"), partial(Metric, "gauge")
_histogram = partial(Metric, "histogram")

METRICS: Final[Mapping[str, Metric]] = {
    "channeld_connections": _gauge(
        "channel transport",
        "Open connections (`websocket`, `sse`) and reads in progress (`streams`).",
    ),
    "channeld_handshakes_total": _counter(
        "result",
        "Opening handshakes, including the start of a stream, by `accepted` or the HTTP status of the refusal.",
    ),
    "channeld_messages_total": _counter(
        "channel type transport result",
        "Frames of declared types received from clients, over `websocket` or the POSTs of `sse`.",
    ),
    "channeld_deprecated_messages_total": _counter(
        "channel type", "Frames of deprecated types received from clients."
    ),
    "channeld_frames_out_total": _counter("", "Frames published, before fan-out."),
    "channeld_deliveries_total": _counter("", "Frames put into an outbox."),
    "channeld_received_bytes_total": _counter("", "Bytes read from clients."),
    "channeld_sent_bytes_total": _counter("", "Bytes written to clients."),
    "channeld_handling_seconds": _histogram(
        "",
        "From a frame's arrival to its last delivery being queued; one frame in sixteen is measured.",
    ),
    "channeld_hook_seconds": _histogram("hook", "Time spent in a hook."),
    "channeld_outbox_bytes": _gauge("", "Bytes waiting for slow sockets."),
    "channeld_slow_consumers_total": _counter("", "Connections closed with 4508."),
    "channeld_rooms": _gauge("", "Rooms with a member on this node."),
    "channeld_broker_up": _gauge("", "1 while the broker answers, 0 while it is unreachable."),
    "channeld_broker_shard_up": _gauge(
        "shard", "1 while this shard of the broker answers, 0 while it is unreachable."
    ),
    "channeld_broker_round_trip_seconds": _gauge(
        "", "The broker's latest round trip; with several shards, the longest of theirs."
    ),
    "channeld_nodes_with_another_plan": _gauge(
        "", "Other nodes whose channels are declared differently from this one's."
    ),
    "channeld_other_versions": _gauge(
        "", "Number of other channeld versions among the nodes of the same prefix; should be 0."
    ),
    "channeld_history_bytes": _gauge(
        "", "Memory used by stored frames, as `history.bytes` counts it (`broker: memory`)."
    ),
    "channeld_histories_dropped_total": _counter(
        "", "Histories dropped to stay within `history.rooms` and `history.bytes`."
    ),
    "channeld_config_reloads_total": _counter("result", "Reloads: `ok` or `refused`."),
    "channeld_backend_away": _gauge(
        "backend", "1 while a backend counts as unreachable and is not called."
    ),
    "channeld_backend_calls_total": _counter(
        "backend result",
        "Hooks sent to a backend: `ok` (answered), `failed`, `late` or `away` (not called).",
    ),
    "channeld_webhooks_delivered_total": _counter(
        "webhook", "Events delivered; webhooks are numbered from 0."
    ),
    "channeld_webhooks_dropped_total": _counter(
        "webhook", "Events dropped because they were refused or too many."
    ),
    "channeld_webhooks_requests_total": _counter(
        "webhook result", "Requests: `ok`, `failed` (sent again) or `refused`."
    ),
    "channeld_webhooks_waiting": _gauge("webhook", "Events not yet delivered."),
    "channeld_shadow_asked_total": _counter(
        "kind", "What `run --shadow` checked, by kind: `handshake` or `message`."
    ),
    "channeld_shadow_refused_total": _counter(
        "channel type reason",
        "What was accepted but the shadow configuration would refuse, by error code or HTTP status; `type` is empty for handshakes.",
    ),
    "channeld_log_lines_dropped_total": _counter(
        "", "Log lines lost because the log was not read fast enough or could not be written."
    ),
    "channeld_log_lines_left_out_total": _counter(
        "",
        "Log lines left out because one client address or hook had caused too many of their kind.",
    ),
    "channeld_build_info": _gauge("version python", "Always 1; see the labels."),
}

BUCKETS: Final[Sequence[float]] = (
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds in seconds: a message takes microseconds, a hook milliseconds, a stuck one seconds."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of an `exposition`: the Prometheus text format."""


@attrs.define(slots=True, eq=False)
class Histogram:
    """A latency histogram: one plain integer per bucket, the last one for everything longer."""

    counts: list[int] = attrs.field(factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


class Sample(NamedTuple):
    """A metric's value at this moment; `labels` are the values of the metric's labels, in the table's order."""

    metric: str
    value: float | Histogram
    labels: tuple[str, ...] = ()


def counted(
    metric: str, labels: tuple[str, ...], counters: attrs.AttrsInstance
) -> Iterator[Sample]:
    """A sample per integer of a counters object; its name is the value of the last label (`result`)."""
    for field in attrs.fields(type(counters)):
        yield Sample(metric, getattr(counters, field.name), (*labels, field.name))


def summed(samples: Iterable[Sample]) -> list[Sample]:
    """Sum samples by metric and labels."""
    sums: dict[tuple[str, tuple[str, ...]], float | Histogram] = {}
    for name, value, labels in samples:
        key = (name, labels)
        sums[key] = _sum(sums[key], value) if key in sums else value
    return [Sample(name, value, labels) for (name, labels), value in sums.items()]


def totals(
    samples: Iterable[Sample], of: Callable[[Sample], str | None] = lambda sample: sample.metric
) -> dict[str, float]:
    """The sums of numbers (not histograms), grouped by `of(sample)`: its metric by default."""
    sums: dict[str, float] = {}
    for sample in samples:
        name = None if isinstance(sample.value, Histogram) else of(sample)
        if name is not None and not isinstance(sample.value, Histogram):
            sums[name] = sums.get(name, 0.0) + sample.value
    return sums


def exposition(samples: Iterable[Sample]) -> bytes:
    """The Prometheus text of samples, summed by labels. Its media type is `CONTENT_TYPE`."""
    from prometheus_client import generate_latest  # noqa: PLC0415 - 90 ms, only for /metrics

    return generate_latest(_Families(samples))  # type: ignore[arg-type,no-any-return,unused-ignore]


@attrs.frozen
class _Families:
    """The part of a registry that `generate_latest` needs; there is no global one."""

    samples: Iterable[Sample]

    def collect(self) -> Iterator[object]:
        """The metric families of prometheus_client, in the table's order, without those that nobody counts."""
        series: dict[str, dict[tuple[str, ...], float | Histogram]] = {}
        for name, value, labels in summed(self.samples):
            series.setdefault(name, {})[labels] = value
        for name, metric in METRICS.items():
            if name in series:
                yield _family(name, metric, series[name])


def _sum(one: float | Histogram, other: float | Histogram) -> float | Histogram:
    if isinstance(one, Histogram) and isinstance(other, Histogram):
        counts = [left + right for left, right in zip(one.counts, other.counts, strict=True)]
        return Histogram(counts, one.total + other.total)
    if isinstance(one, Histogram) or isinstance(other, Histogram):
        raise TypeError("a histogram and a number under one name")
    return one + other


def _family(
    name: str, metric: Metric, series: Mapping[tuple[str, ...], float | Histogram]
) -> object:
    from prometheus_client import core  # noqa: PLC0415 - 90 ms, only for /metrics

    family = {
        "counter": core.CounterMetricFamily,
        "gauge": core.GaugeMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }[metric.kind](name.removesuffix("_total"), metric.help, labels=metric.labels)
    for labels, value in series.items():
        if len(labels) != len(metric.labels):
            raise ValueError(f"{name} has the labels {metric.labels}, not {labels}")
        if isinstance(value, Histogram):
            family.add_metric(labels, list(_cumulated(value)), value.total)
        else:
            family.add_metric(labels, value)
    return family


def _cumulated(histogram: Histogram) -> Iterator[tuple[str, int]]:
    so_far = 0
    for bound_, count in zip((*map(str, BUCKETS), "+Inf"), histogram.counts, strict=True):
        so_far += count
        yield bound_, so_far

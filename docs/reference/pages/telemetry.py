"""The tables of `logs-and-metrics.md`."""

from pages.markdown import table

from channeld.telemetry import BUCKETS, EVENTS, METRICS


def log_events() -> str:
    """Every line that the server writes."""
    rows = [
        [f"`{name}`", event.level, ", ".join(f"`{field}`" for field in event.fields), event.meaning]
        for name, event in EVENTS.items()
    ]
    return table(["event", "level", "may carry", "meaning"], rows)


def metrics() -> str:
    """Every metric."""
    rows = [
        [f"`{name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help]
        for name, one in METRICS.items()
    ]
    buckets = ", ".join(f"{bound:g}" for bound in BUCKETS)
    return (
        table(["metric", "kind", "labels", "counts"], rows)
        + f"\n\nHistograms have these buckets, in seconds: {buckets}."
    )

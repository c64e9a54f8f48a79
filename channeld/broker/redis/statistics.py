"""Counters of the Redis broker."""

import attrs


@attrs.frozen(slots=True, kw_only=True)
class RedisStatistics:
    """Totals and current numbers of a `RedisBroker`. `echo` is the latest round trip of its own echo, in seconds."""

    healthy: bool
    sessions: int
    echo: float
    queued: int
    subscriptions: int
    entries: int
    received: int
    dropped: int
    duplicates: int
    filled: int
    gaps: int
    failed: int

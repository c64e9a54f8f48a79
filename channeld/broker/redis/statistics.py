"""What a broker over Redis counts."""

import attrs


@attrs.frozen(slots=True, kw_only=True)
class RedisStatistics:
    """What a `RedisBroker` has done and holds. `echo` is the latest time to hear oneself, in seconds."""

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

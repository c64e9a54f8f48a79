"""Token buckets without allocation: one float each, by the generic cell rate algorithm (ITU-T I.371).

The float is the *theoretical arrival time*: when the bucket would be full again. A token is there while that time is no
further than `rate.slack` ahead of now.
"""

from channeld.config.model import Rate

REFUSED = -1.0


def take(arrival: float, now: float, rate: Rate) -> float:
    """Take one token.

    Args:
        arrival: what the last call returned, 0 at first.
        now: monotonic seconds.
        rate: the bucket.

    Returns:
        The new arrival time, or REFUSED: then keep the old one.
    """
    if arrival < now:
        return now + rate.interval
    # A nanosecond forgives what floats lose when a client is exactly on time.
    if arrival - now > rate.slack + 1e-9:
        return REFUSED
    return arrival + rate.interval


def retry_after(arrival: float, now: float, rate: Rate) -> float:
    """Seconds until the next token, rounded up to a millisecond."""
    return retry_until(arrival - rate.slack, now)


def retry_until(moment: float, now: float) -> float:
    """Seconds until a moment, rounded up to a millisecond."""
    return max(1, -int(-(moment - now) * 1000 // 1)) / 1000

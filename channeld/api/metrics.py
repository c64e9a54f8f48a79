"""Turns the parts' numbers into named samples of `telemetry`.

There are two kinds: samples that are summed over the processes of one machine (`engine_samples`, `process_samples`, and the
server's own), and samples of each process (`own_samples`).
"""

import platform
from collections import Counter
from collections.abc import Iterator, Sequence

import attrs

from channeld import __version__
from channeld.broker.broker import Broker, Networked, Topic
from channeld.engine.engine import Engine
from channeld.telemetry import Sample, counted, dropped, left_out


def engine_samples(engine: Engine) -> Iterator[Sample]:
    """Connections, messages, frames, rooms and times. Labels are the plan's channels and types, and hook names."""
    hub = engine.hub
    over_http = Counter((one.channel.name, one.transport) for one in engine.over_http)
    for name, channel in engine.plan.channels.items():
        sockets = hub.size(Topic("channel", name, "")) - over_http[name, "sse"]
        yield Sample("channeld_connections", sockets, (name, "websocket"))
        for transport in ("sse", "streams"):
            yield Sample("channeld_connections", over_http[name, transport], (name, transport))
        for kind, message in channel.messages.items():
            for transport in ("websocket", "sse"):
                counters = message.counted(transport)
                yield from counted("channeld_messages_total", (name, kind, transport), counters)
            if message.deprecated is not None:
                sent = sum(attrs.astuple(message.counters)) + sum(attrs.astuple(message.posted))
                yield Sample("channeld_deprecated_messages_total", sent, (name, kind))
    totals = hub.statistics()
    yield Sample("channeld_frames_out_total", totals.publications)
    yield Sample("channeld_deliveries_total", totals.deliveries)
    yield Sample("channeld_rooms", totals.rooms)
    yield Sample("channeld_handling_seconds", engine.timing.handling)
    for name, seconds in engine.timing.hooks.items():
        yield Sample("channeld_hook_seconds", seconds, (name,))


def process_samples(taken: int, refused: int) -> Sequence[Sample]:
    """Reloads of the configuration, and log lines that were lost."""
    return (
        Sample("channeld_config_reloads_total", taken, ("ok",)),
        Sample("channeld_config_reloads_total", refused, ("refused",)),
        Sample("channeld_log_lines_dropped_total", dropped()),
        Sample("channeld_log_lines_left_out_total", left_out()),
    )


def own_samples(broker: Broker) -> Iterator[Sample]:
    """The broker as seen by this process, and what runs in it."""
    yield Sample("channeld_broker_up", int(is_broker_up(broker)))
    yield from broker.samples()
    yield Sample("channeld_build_info", 1, (__version__, platform.python_version()))


def is_broker_up(broker: Broker) -> bool:
    """Whether the broker answers; an in-process one always does."""
    return broker.healthy if isinstance(broker, Networked) else True

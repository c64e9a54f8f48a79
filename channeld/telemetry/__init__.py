"""One table of log events and one of metrics; decisions are logged and counted here, by name.

`log("connection_opened", connection=…)` writes one line; an event that is not in the table is a bug. Reading order:
`events.py` (the table), `line_rates.py` (rate limits), `lines.py` (content and format), `output.py` (destination),
`unheard.py` (what libraries log), `logger.py` (writing a line), `metrics.py` (what is counted), `tracing.py` (spans).
"""

from channeld.telemetry.events import EVENTS, LogEvent
from channeld.telemetry.line_rates import LineRates
from channeld.telemetry.lines import escaped, one_line
from channeld.telemetry.logger import (
    bound,
    bound_lines,
    configure,
    left_out,
    log,
    reconfigure,
    silenced,
    silenced_here,
    toggle_debug,
)
from channeld.telemetry.metrics import (
    BUCKETS,
    CONTENT_TYPE,
    METRICS,
    Histogram,
    Metric,
    Sample,
    counted,
    exposition,
    summed,
    totals,
)
from channeld.telemetry.output import dropped, put

__all__ = [
    "BUCKETS",
    "CONTENT_TYPE",
    "EVENTS",
    "METRICS",
    "Histogram",
    "LineRates",
    "LogEvent",
    "Metric",
    "Sample",
    "bound",
    "bound_lines",
    "configure",
    "counted",
    "dropped",
    "escaped",
    "exposition",
    "left_out",
    "log",
    "one_line",
    "put",
    "reconfigure",
    "silenced",
    "silenced_here",
    "summed",
    "toggle_debug",
    "totals",
]

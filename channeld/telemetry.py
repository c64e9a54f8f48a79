"""One table of log events, one of metrics; whoever decides something says so here, by name.

`log("connection_opened", connection=…)` writes one structured line. An event that is not in the table is a bug.
"""

from typing import Any

import structlog

__all__ = ["log"]

_logger: Any = structlog.get_logger("channeld")


def log(event: str, **fields: object) -> None:
    """Write one line; the level is the table's."""
    _logger.info(event, **fields)

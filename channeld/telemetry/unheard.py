"""Logs what libraries write through Python's `logging`, if no handler is configured.

Python would write them to stderr unformatted, between our lines, with any URL or token in them.
"""

import logging
from typing import Protocol


class _Write(Protocol):
    def __call__(self, event: str, **fields: object) -> None: ...


class _Unheard(logging.Handler):
    def __init__(self, write: _Write) -> None:
        super().__init__(logging.WARNING)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write it as the event `library_warned`. Never raises."""
        try:
            text = record.getMessage()
        except Exception:  # third-party format and values
            text = str(record.msg)
        raised = {"exception": record.exc_info[1]} if record.exc_info else {}
        self._write("library_warned", logger=record.name, reason=text, **raised)


def listen(write: _Write) -> None:
    """Replace Python's handler of last resort, which handles warnings and errors."""
    logging.lastResort = _Unheard(write)

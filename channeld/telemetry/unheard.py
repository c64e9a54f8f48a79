"""What libraries say through Python's `logging` where nobody has set a handler: as a line of ours.

Python would write it to stderr as it stands, between our lines, with whatever URL or token it holds.
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
        except Exception:  # somebody else's format and values
            text = str(record.msg)
        raised = {"exception": record.exc_info[1]} if record.exc_info else {}
        self._write("library_warned", logger=record.name, reason=text, **raised)


def listen(write: _Write) -> None:
    """Write what Python would write by its handler of last resort, from level warning on."""
    logging.lastResort = _Unheard(write)

"""CH1xx: the structure of the file."""

from channeld.diagnostics.catalogue.entry import Entry

__all__ = ["ENTRIES"]

ENTRIES: tuple[Entry, ...] = ()

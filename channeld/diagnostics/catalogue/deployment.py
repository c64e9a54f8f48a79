"""CH7xx: deployment and style."""

from channeld.diagnostics.catalogue.entry import Entry

__all__ = ["ENTRIES"]

ENTRIES: tuple[Entry, ...] = ()

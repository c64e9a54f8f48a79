"""CH5xx: hooks."""

from channeld.diagnostics.catalogue.entry import Entry

__all__ = ["ENTRIES"]

ENTRIES: tuple[Entry, ...] = ()

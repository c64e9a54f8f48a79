"""CH6xx: limits, history and presence."""

from channeld.diagnostics.catalogue.entry import Entry

__all__ = ["ENTRIES"]

ENTRIES: tuple[Entry, ...] = ()

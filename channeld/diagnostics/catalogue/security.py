"""CH4xx: authentication and security."""

from channeld.diagnostics.catalogue.entry import Entry

__all__ = ["ENTRIES"]

ENTRIES: tuple[Entry, ...] = ()

"""A mapping while it is read: its keys in order, duplicates and merge keys (`<<`) told apart."""

import attrs

from channeld.config.tree import Entry

__all__ = ["Fields", "Key"]


@attrs.frozen(slots=True)
class Key:
    """A key as text, where it stands, and whether it is `<<` or was a template in braces itself."""

    text: str
    start: int
    end: int
    merges: bool = False
    template: bool = False


@attrs.define(eq=False)
class Fields:
    """A mapping while it is read: its own keys, what `<<` brings and where it stands, the key read last."""

    own: dict[str, Entry] = attrs.field(factory=dict)
    merged: dict[str, Entry] = attrs.field(factory=dict)
    merge: Entry | None = None
    merge_at: int = 0
    last: Key | None = None
    count: int = 0

    def entries(self) -> dict[str, Entry]:
        """All keys in the file's order, merged ones where `<<` stood; own ones win."""
        own = list(self.own.items())
        brought = [(key, entry) for key, entry in self.merged.items() if key not in self.own]
        return dict([*own[: self.merge_at], *brought, *own[self.merge_at :]])

"""Compares who may do what: the access matrix of both configurations, right by right."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest

import attrs

from channeld.dev.rights import TITLES, ChannelRights, Right, right_words, rights
from channeld.diff.comparison import Comparison
from channeld.diff.paths import renamed
from channeld.diff.side import Side


@attrs.frozen(slots=True, kw_only=True)
class RightChange:
    """A right that is new (`before` is None), removed (`after` is None) or changed; `channel` is its new name.

    `right` is the right as it is, or was.
    """

    channel: str
    right: Right
    before: Right | None = None
    after: Right | None = None

    @property
    def title(self) -> str:
        """What may be done: `may send rule`."""
        return f"{TITLES[self.right.what]} {self.right.of}".rstrip()


def right_changes(old: Side, new: Side) -> tuple[RightChange, ...]:
    """The changes in the order of the new file; removed rights are listed with their channel, or at the end."""
    comparison = Comparison(old, new, everything=False)
    names = {now: was for was, now in renamed(comparison).items()}
    before = {one.channel: one for one in rights(old.config)}
    after = {one.channel: one for one in rights(new.config)}
    taken = {names.get(name, name) for name in after}
    found = [
        change
        for name, now in after.items()
        for change in _channel(name, before.get(names.get(name, name)), now)
    ]
    gone = (one for name, one in before.items() if name not in taken)
    return (*found, *(change for one in gone for change in _channel(one.channel, one, None)))


def _channel(
    name: str, before: ChannelRights | None, after: ChannelRights | None
) -> Iterator[RightChange]:
    was, now = _by_subject(before), _by_subject(after)
    for subject in dict.fromkeys([*now, *was]):
        yield from _changed(name, was.get(subject, ()), now.get(subject, ()))


def _by_subject(channel: ChannelRights | None) -> Mapping[tuple[str, str], list[Right]]:
    found: dict[tuple[str, str], list[Right]] = {}
    for right in channel.rights if channel is not None else ():
        found.setdefault((right.what, right.of), []).append(right)
    return found


def _changed(name: str, was: Iterable[Right], now: Iterable[Right]) -> Iterator[RightChange]:
    old, new = {right_words(one): one for one in was}, {right_words(one): one for one in now}
    gone = [right for words, right in old.items() if words not in new]
    added = [right for words, right in new.items() if words not in old]
    for before, after in zip_longest(gone, added):
        yield RightChange(channel=name, right=after or before, before=before, after=after)

"""Fields that the server itself puts into frames: what came, went, or is made of something else."""

from collections.abc import Iterator, Mapping

from channeld.diff.change import Change, Level
from channeld.diff.comparison import Desk
from channeld.diff.delivered import Source
from channeld.pointer import at

__all__ = ["fields"]


def fields(
    desk: Desk,
    old: Mapping[str, Source],
    new: Mapping[str, Source],
    pointers: tuple[str, str],
    who: str,
) -> Iterator[Change]:
    """Fields that the server makes: gone, new, or made of something else. `pointers`: where they stand, new and old."""
    pointer, before = pointers
    for name, was in old.items():
        now = new.get(name)
        if now is None:
            words = f"{who} has no `{name}` any more"
            place = at(before, name)
            yield desk.gone("D603", Level.BREAKING, words, place, near=pointer)
        elif (was.text, was.optional) != (now.text, now.optional):
            yield _changed_field(desk, was, now, at(pointer, name), f"`{name}` in {who}")
    for name in new:
        if name not in old:
            words = f"{who} has `{name}`, too"
            yield desk.change("D604", Level.SAFE, words, at(pointer, name), key=True)


def _changed_field(desk: Desk, was: Source, now: Source, pointer: str, who: str) -> Change:
    level, words = Level.DANGEROUS, f"{who} is made of something else now"
    if was.text == now.text:
        level = Level.BREAKING if now.optional else Level.SAFE
        words = f"{who} may be missing now" if now.optional else f"{who} is always there now"
    elif was.kind and now.kind and was.kind != now.kind:
        level, words = Level.BREAKING, f"{who} is of another type now: {now.kind}"
    label = f"{was.text.removeprefix('= ')}{' (optional)' if was.optional else ''} before"
    return desk.change("D605", level, words, pointer, label=label)

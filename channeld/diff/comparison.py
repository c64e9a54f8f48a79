"""Both sides of a comparison: locations, and how a schema's change affects senders and receivers."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs

from channeld.diagnostics.diagnostic import Place, Related
from channeld.diff.change import Change, Level, Witness, worst
from channeld.diff.severity import Direction, level_of
from channeld.diff.side import Side
from channeld.plan.options.option import Difference
from channeld.pointer import at, tokens
from channeld.protocol.frames import Json
from channeld.schema.compare.compare import compare
from channeld.schema.compare.counterexample import Shown, find
from channeld.schema.compare.difference import Effect, Fact, Spot
from channeld.schema.compare.schema_ref import IMPLIED, Book, Node, Part, implied
from channeld.schema.sensitive import Marks, marks_of

OBJECT: Final = implied({"type": "object"}, "object")
"""Frames (without type and id) and claims are objects, whatever their schema says."""


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Use:
    """What a schema is used for. `pointer` is where it is named in the new configuration, `old` in the old one.

    `affects` says who is affected, `receivers` who else for PASSED_ON, where `passes` says whether a difference reaches
    receivers. `codes` are the codes for a narrower and a wider schema if it is not a message's or event's. `frame_type` is
    the type of the frame that is shown as a witness, empty for what is not a frame; `show` makes of a value what is shown
    of it.
    """

    pointer: str
    old: str
    direction: Direction
    affects: str
    receivers: str = ""
    frame_type: str = ""
    show: Callable[[Json], Json] = lambda value: value
    passes: Callable[[Fact], bool] = lambda fact: True
    codes: tuple[str, str] | None = None
    about: str = ""


@attrs.define(eq=False)
class Comparison:
    """Makes changes; `everything` asks for those of words as well."""

    old: Side
    new: Side
    everything: bool = False
    _books: tuple[Book, Book] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._books = Book(self.old.schemas), Book(self.new.schemas)

    def change(
        self,
        code: str,
        level: Level,
        message: str,
        pointer: str,
        *,
        key: bool = False,
        **more: object,
    ) -> Change:
        """Make a change located at a pointer of the new configuration, or nearest to it."""
        place = self.new.place(pointer, key=key)
        known = Change(code=code, level=level, message=message, place=place, path=pointer)
        return attrs.evolve(known, **more)  # type: ignore[arg-type]  # fields of Change, by name

    def gone(
        self, code: str, level: Level, message: str, pointer: str, *, near: str = "", **more: object
    ) -> Change:
        """Make a change for something removed; it is shown at what contained it (`near`, in the new configuration)."""
        place = self.new.place(near or pointer, key=True)
        there = Related(place=self.old.place(pointer, key=True), message="stood here")
        known = Change(code=code, level=level, message=message, place=place, path=pointer)
        return attrs.evolve(known, related=(there,), **more)  # type: ignore[arg-type]  # fields of Change, by name

    def option(self, found: Difference, pointers: tuple[str, str], who: str) -> Change:
        """Make a change of an option at `pointers` (in the new file and the old one); `who` sends."""
        pointer, before = (at(each, found.key) if found.key else each for each in pointers)
        level = Level(found.level)
        if found.is_gone:
            change = self.gone(found.code, level, found.words, before, near=pointers[0])
        else:
            change = self.change(found.code, level, found.words, pointer)
        affects = (who,) if found.is_of_senders else ()
        security = found.is_of_security
        return attrs.evolve(change, label=found.label, affects=affects, security=security)

    def node(self, pointer: str, *parts: Part, old: bool = False) -> Node | None:
        """The schema at a pointer combined with others; None if unavailable."""
        side, book = (self.old, self._books[0]) if old else (self.new, self._books[1])
        root = side.schemas.root(pointer)
        found = side.schemas.at(root) if root is not None else None
        return Node(book, (found, *parts)) if found is not None else None

    def implied(self, *parts: Part, old: bool = False) -> Node:
        """What the language itself demands on one of the sides."""
        return Node(self._books[0 if old else 1], parts)

    def schemas(self, use: Use) -> Iterator[Change]:
        """What changed for a use of a schema of objects."""
        old, new = self.node(use.old, OBJECT, old=True), self.node(use.pointer, OBJECT)
        if old is None or new is None:
            return
        yield from self.differences(use, old, new)
        yield from self.unhidden(use.old, use.pointer)

    def unhidden(self, before: str, pointer: str) -> Iterator[Change]:
        """Values of a schema that are no longer marked as sensitive."""
        was = marks_of(self.old.schemas.resolved(before))
        now = Marks(self.new.schemas.resolved(pointer))
        for place in was.places() if was is not None else ():
            if now.declares(place) and not now.is_at(place):
                names = [name for name in tokens(place) if name != "0"]
                name = f"`{names[-1]}`" if names else "the frame"
                message = f"{name} is no longer hidden from logs and errors"
                yield self.change("D705", Level.SAFE, message, pointer, security=True)

    def differences(self, use: Use, old: Node, new: Node) -> Iterator[Change]:
        """What changed between two schemas for a use of them."""
        facts = compare(old, new)
        told: set[object] = set()
        is_mixed = any(not _is_undecided(fact) for fact in facts)
        for fact in facts:
            # Next to a certain difference, a witness may only show that one.
            change = self._difference(use, fact, may_prove=not (is_mixed and _is_undecided(fact)))
            # A schema that is reached in several ways is reported once.
            key = (change.code, change.level, fact.name, _spot(fact.old), _spot(fact.new))
            if key not in told:
                told.add(key)
                yield change
        if self.everything and not facts and self._words(old) != self._words(new):
            message = f"the description of {use.about or use.affects} changed"
            yield self.change("D702", Level.SAFE, message, use.pointer)

    def _words(self, node: Node) -> list[object]:
        return [node.book.whole(part) for part in node.parts]

    def _difference(self, use: Use, fact: Fact, *, may_prove: bool) -> Change:
        levels = self._levels(use, fact)
        level = worst(levels.values())
        gained, shown = _proof(use, fact, levels, level) if may_prove else (False, None)
        if shown is not None and level is Level.DANGEROUS and _is_proof(fact, gained):
            level = Level.BREAKING
        code = fact.code
        if use.codes is not None:
            code = use.codes[level is Level.SAFE and not fact.may_lose()]
        place, path, related = self._places(use, fact)
        message = fact.message.replace("the frame", f"the {use.about or 'frame'}")
        return Change(
            code=code,
            level=level,
            message=message,
            place=place,
            path=path,
            label=fact.label,
            note="; ".join(filter(None, (fact.note, _passed_on(use, levels)))),
            security=code == "D404" and use.codes is not None,
            related=related,
            uses=(use.pointer.removesuffix("/schema"),),
            affects=_affected(use, levels),
            witness=_witness(use, shown, gained),
        )

    def _levels(self, use: Use, fact: Fact) -> Mapping[bool, Level]:
        """The level for senders (False) and for receivers (True), assuming that there are any."""
        if use.codes is not None and fact.effect is Effect.WIDENS:
            # Claims and params are only checked, so a schema that demands less refuses nobody.
            return {False: Level.SAFE}
        levels: dict[bool, Level] = {}
        if use.direction is not Direction.RECEIVED:
            levels[False] = level_of(fact, Direction.SENT)
        if use.direction is Direction.RECEIVED or (
            use.direction is Direction.PASSED_ON and use.passes(fact)
        ):
            levels[True] = level_of(fact, use.direction)
        return levels

    def _places(self, use: Use, fact: Fact) -> tuple[Place, str, tuple[Related, ...]]:
        place = self._place(self.new, fact.new) or self.new.place(use.pointer)
        before = self._place(self.old, fact.old)
        # If the new file has it, the old one need not be searched.
        stands = fact.new is not None and bool(fact.new.keyword) and fact.code != "D303"
        gone = before is not None and not stands
        related = (Related(place=before, message="stood here"),) if before and gone else ()
        pointer = self._pointer(fact.old if gone else fact.new)
        return place, pointer or use.pointer, related

    def _place(self, side: Side, spot: Spot | None) -> Place | None:
        if spot is None or spot.part.document.uri.startswith(IMPLIED):
            return None
        pointer = f"{spot.part.pointer}/{spot.keyword}" if spot.keyword else spot.part.pointer
        document = spot.part.document
        return side.shown(side.schemas.documents.place(document, pointer, key=spot.key))

    def _pointer(self, spot: Spot | None) -> str:
        """The spot's pointer in the configuration; empty for one in a file of its own."""
        if spot is None or spot.part.document.base is None:
            return ""
        pointer = spot.part.document.base + spot.part.pointer
        return f"{pointer}/{spot.keyword}" if spot.keyword else pointer


def _is_proof(fact: Fact, gained: bool) -> bool:
    """Whether a witness decides what the schemas left open. Few clients check patterns of received values."""
    return _is_undecided(fact) and (fact.code == "D399" or not gained)


def _is_undecided(fact: Fact) -> bool:
    return fact.effect in (Effect.UNKNOWN, Effect.MAY_NARROW, Effect.MAY_WIDEN)


def _proof(
    use: Use, fact: Fact, levels: Mapping[bool, Level], level: Level
) -> tuple[bool, Shown | None]:
    """A value that shows the difference in its worst direction, and whether it is newly accepted."""
    ways = [gained for gained in (False, True) if levels.get(gained) is level]
    if level is Level.SAFE:
        ways = [not fact.may_lose(), fact.may_lose()]
    for gained in ways:
        shown = find(fact, gained=gained, is_frame=bool(use.frame_type))
        if shown is not None:
            return gained, shown
    return False, None


def _spot(spot: Spot | None) -> object:
    return (spot.part.key, spot.keyword) if spot is not None else None


def _affected(use: Use, levels: Mapping[bool, Level]) -> tuple[str, ...]:
    sent, received = levels.get(False), levels.get(True)
    if use.direction is not Direction.PASSED_ON or received in (None, Level.SAFE):
        return (use.affects,)
    return (use.receivers,) if sent is Level.SAFE else (use.affects, use.receivers)


def _passed_on(use: Use, levels: Mapping[bool, Level]) -> str:
    if use.direction is not Direction.PASSED_ON or True not in levels:
        return ""
    sent, received = levels.get(False, Level.SAFE), levels[True]
    if worst((sent, received)) is received and received is not sent:
        return f"{sent} for clients that send it, {received} for clients that receive it"
    return ""


def _witness(use: Use, shown: Shown | None, gained: bool) -> Witness | None:
    if shown is None:
        return None
    value, reason = shown
    if use.frame_type and isinstance(value, dict):
        value = {"type": use.frame_type, **value}
    value = use.show(value)
    title = "now possible" if gained else "accepted before"
    outcome = f"not before: {reason}" if gained else f"refused now: {reason}"
    return Witness(title=title, value=value, outcome=outcome)

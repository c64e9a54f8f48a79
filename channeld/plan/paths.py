"""Matches a URL path to a channel and its params: a tree of segments whose nodes are visited at most once per lookup.

The raw path is split at slashes first and each segment percent-decoded once, so `%2F` stays inside its segment. The shape
alone selects the channel (a literal beats a param, a param beats a rest); the params are then checked by their schemas, and
a refused one means no match.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar

import attrs

from channeld.plan.path_syntax import PathParam, PathPattern, Rest, Segment, decode
from channeld.protocol.frames import CheckedJson, Json
from channeld.protocol.names import is_plain, nfc

T = TypeVar("T")

DEFAULT_LENGTH = 128
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,63})(?:\.[0-9]{1,64})?(?:[eE][+-]?[0-9]{1,4})?")
_REFUSED: Final = object()


def split(path: str) -> list[str] | None:
    """The decoded segments of a raw URL path; None if no path can match it."""
    if not path.startswith("/"):
        return None
    segments = path[1:].split("/")
    if "%" not in path:
        return segments if decode(path) is not None else None
    decoded = [decode(segment) for segment in segments]
    sound = [segment for segment in decoded if segment is not None]
    return sound if len(sound) == len(decoded) else None


def converter(
    types: frozenset[str], accepts: Callable[[Json], bool] | None
) -> Callable[[str], object]:
    """Make the function that converts a decoded segment to its param's `integer`, `number` or `boolean`, else text.

    `types` are the JSON types that the param's schema allows, and `accepts` is its check; None allows any string of 1 to 128
    characters. `is_refused(result)` says whether the schema refused the segment.
    """
    convert = _CONVERSIONS.get(types, str)
    if accepts is None:
        return lambda text: _name(text) if len(text) <= DEFAULT_LENGTH else _REFUSED

    def read(text: str) -> object:
        value = convert(text)
        if isinstance(value, str):
            value = _name(value)
        return value if value is not _REFUSED and accepts(value) else _REFUSED  # type: ignore[arg-type]

    return read


def _name(text: str) -> object:
    """Normalise text for use in names to NFC; refused if it has invisible characters."""
    return nfc(text) if is_plain(text) else _REFUSED


def is_refused(value: object) -> bool:
    """Whether a converter refused its segment."""
    return value is _REFUSED


@attrs.define(eq=False)
class _Node(Generic[T]):
    literals: dict[str, "_Node[T]"] = attrs.field(factory=dict)
    param: "_Node[T] | None" = None
    end: tuple[PathPattern, T] | None = None
    rest: tuple[PathPattern, T] | None = None

    def below(self) -> Iterator[tuple[PathPattern, T]]:
        """All entries at and below this node."""
        if self.end is not None:
            yield self.end
        if self.rest is not None:
            yield self.rest
        for child in self._children():
            yield from child.below()

    def _children(self, *, named: bool = False) -> Iterator["_Node[T]"]:
        # A param does not match an empty segment; a literal may (the path `/`).
        yield from (child for text, child in self.literals.items() if text or not named)
        if self.param is not None:
            yield self.param

    def overlapping(self, segments: Sequence[Segment]) -> Iterator[tuple[PathPattern, T]]:
        """All entries below this node that can match a URL which `segments` also matches."""
        if not segments:
            if self.end is not None:
                yield self.end
            return
        head, tail = segments[0], segments[1:]
        if self.rest is not None:
            yield self.rest
        if isinstance(head, Rest):
            for child in self._children():
                yield from child.below()
        elif isinstance(head, PathParam):
            for child in self._children(named=True):
                yield from child.overlapping(tail)
        else:
            literal = self.literals.get(head)
            for found in (literal, self.param if head else None):
                if found is not None:
                    yield from found.overlapping(tail)


@attrs.define(eq=False)
class PathTable(Generic[T]):
    """Maps paths to their targets."""

    _root: _Node[T] = attrs.field(factory=_Node, init=False)
    # By a path's text: each param's position, name, whether it is a rest, and its converter.
    _params: dict[str, tuple[tuple[int, str, bool, Callable[[str], object]], ...]] = attrs.field(
        factory=dict, init=False
    )

    def overlaps(self, pattern: PathPattern) -> list[tuple[PathPattern, T]]:
        """Entries of the table that can match a URL which `pattern` also matches."""
        return list(self._root.overlapping(pattern.segments))

    def add(
        self,
        pattern: PathPattern,
        target: T,
        readers: Mapping[str, Callable[[str], object]] | None = None,
    ) -> None:
        """Add a path. `readers` are the converters of its params, where not the default."""
        node = self._root
        readers = readers or {}
        plain = converter(frozenset({"string"}), None)
        self._params[pattern.text] = tuple(
            (position, segment.name, isinstance(segment, Rest), readers.get(segment.name, plain))
            for position, segment in enumerate(pattern.segments)
            if not isinstance(segment, str)
        )
        for segment in pattern.segments:
            if isinstance(segment, Rest):
                node.rest = (pattern, target)
                return
            if isinstance(segment, PathParam):
                below = node.param or _Node()
                node.param = below
                node = below
            else:
                node = node.literals.setdefault(segment, _Node())
        node.end = (pattern, target)

    def match(self, path: str) -> tuple[T, dict[str, CheckedJson]] | None:
        """The most specific target of a raw URL path, and its params; None if nothing matches."""
        segments = split(path)
        if segments is None:
            return None
        found = _find(self._root, segments, 0)
        if found is None:
            return None
        pattern, target = found
        params: dict[str, CheckedJson] = {}
        for position, name, is_rest, read in self._params[pattern.text]:
            value = read("/".join(segments[position:]) if is_rest else segments[position])
            if value is _REFUSED:
                return None
            params[name] = value
        return target, params


def _find(node: _Node[T], segments: list[str], position: int) -> tuple[PathPattern, T] | None:
    # The depth is bounded by the declared paths, whatever the URL.
    if position == len(segments):
        return node.end
    head = segments[position]
    child = node.literals.get(head)
    found = _find(child, segments, position + 1) if child is not None else None
    if found is None and node.param is not None and head:
        found = _find(node.param, segments, position + 1)
    if found is None and node.rest is not None and (head or position + 1 < len(segments)):
        found = node.rest
    return found


def _integer(text: str) -> object:
    if not _INTEGER.fullmatch(text):
        return _REFUSED
    value = int(text)
    # 19 digits always fit into 64 unsigned bits, but not into the signed range.
    return value if value >= -(2**63) else _REFUSED


def _number(text: str) -> object:
    if not _NUMBER.fullmatch(text):
        return _REFUSED
    if _INTEGER.fullmatch(text):
        return _integer(text)
    value = float(text)
    return value if math.isfinite(value) else _REFUSED


def _boolean(text: str) -> object:
    return {"true": True, "false": False}.get(text, _REFUSED)


_CONVERSIONS: Mapping[frozenset[str], Callable[[str], object]] = {
    frozenset({"integer"}): _integer,
    frozenset({"number"}): _number,
    frozenset({"integer", "number"}): _number,
    frozenset({"boolean"}): _boolean,
}

"""Compares channels by their paths: which correspond, which URLs lead elsewhere now, and what params accept."""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from channeld.config.model import Channel
from channeld.diff.change import Change, Level, Witness
from channeld.diff.comparison import Comparison, Use
from channeld.diff.severity import Direction
from channeld.plan.path_syntax import PathParam, PathPattern, compare, parse_path
from channeld.plan.paths import converter, is_refused
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.compare.candidates import Prober
from channeld.schema.compare.normalize import form_of
from channeld.schema.compare.schema_ref import Node, Part, implied, number

_B, _D, _S = Level.BREAKING, Level.DANGEROUS, Level.SAFE
_NUMBERS: Final = frozenset({"integer", "number"})
_LONGEST_NUMBER: Final = 128
_TEXT: Final = implied({"type": "string", "minLength": 1}, "segment")
_DEFAULT: Final = implied({"type": "string", "minLength": 1, "maxLength": 128}, "param")


def _pattern(path: str) -> PathPattern | None:
    return parse_path(path, [])


def _shape(path: str) -> tuple[object, ...]:
    """A path without the names of its params."""
    pattern = _pattern(path)
    if pattern is None:
        return (path,)
    return tuple(s if isinstance(s, str) else type(s) for s in pattern.segments)


def renamed(comparison: Comparison) -> Mapping[str, str]:
    """Renamed channels: the path is the same."""
    olds, news = comparison.old.config.channels, comparison.new.config.channels
    come = {_shape(c.path): name for name, c in news.items() if name not in olds}
    gone = {name: _shape(c.path) for name, c in olds.items() if name not in news}
    return {name: come[shape] for name, shape in gone.items() if shape in come}


def path_changes(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    """The path of a channel that both sides have, and its params."""
    was, now = _pattern(old.path), _pattern(new.path)
    pointer = at("/channels", new.name, "path")
    label = f"`{old.path}` before"
    if _shape(old.path) != _shape(new.path):
        if was is not None and now is not None and compare(was, now) == "narrower":
            message = f"the path of `{new.name}` now matches more URLs"
            yield comparison.change("D102", _S, message, pointer, label=label)
            return
        message = f"`{new.name}` now has another path"
        url = _url(comparison, old, {}, old=True) if was is not None else old.path
        witness = Witness(title="worked before", value=url, outcome="not found now: HTTP 404")
        yield comparison.change("D102", _B, message, pointer, label=label, witness=witness)
        return
    if was is None or now is None:
        return
    for before, after in zip(was.params, now.params, strict=True):
        if before != after:
            message = f"the param `{before}` is now called `{after}`"
            note = "clients do not see it, but hooks and templates do"
            yield comparison.change("D107", _S, message, pointer, note=note)
        yield from _param(comparison, (old, new), before, after)


def _param(
    comparison: Comparison, pair: tuple[Channel, Channel], before: str, after: str
) -> Iterator[Change]:
    old, new = pair
    if old.params.get(before) is None and new.params.get(after) is None:
        return
    was, now = _node(comparison, old, before, old=True), _node(comparison, new, after, old=False)
    if was is None or now is None:
        return
    pointer = at("/channels", new.name, "params", after)

    def url(value: Json) -> str:
        return _url(comparison, old, {before: value}, old=True)

    if _kind(was) == _kind(now):
        use = Use(
            pointer=pointer,
            old=at("/channels", old.name, "params", before),
            direction=Direction.SENT,
            affects=f"clients that connect to `{new.name}`",
            about=f"param `{after}`",
            codes=("D105", "D106"),
            show=url,
        )
        parts = (_TEXT,) if _kind(was) == "text" else ()
        yield from comparison.differences(use, _with(was, *parts), _with(now, *parts))
        return
    code, level, message, url_before = _other_kind(was, now, after)
    witness = None
    if url_before is not None:
        value, outcome = url(url_before[0]), "not found now: HTTP 404"
        witness = Witness(title="worked before", value=value, outcome=outcome)
    label = f"{_A[_kind(was)]} before"
    yield comparison.change(code, level, message, pointer, label=label, witness=witness)


def _other_kind(was: Node, now: Node, name: str) -> tuple[str, Level, str, tuple[Json] | None]:
    """Compare a param that changed its kind, with a value that was valid and no longer is."""
    message = f"the param `{name}` must now be {_A[_kind(now)]}"
    if _kind(now) == "text":
        form = form_of(now)
        longest = form.counts.get("maxLength")
        is_long = longest is None or number(longest.value) >= _LONGEST_NUMBER
        if is_long and not form.texts and form.is_simple():
            return "D106", _S, f"the param `{name}` may now be any text", None
        return "D105", _D, message, None
    values = (value for value in Prober().values(was, was) if was.accepts(value))
    lost = next(((value,) for value in values if not _converts(now, str(value))), None)
    return "D105", _B, message, lost


_A: Final = {"text": "a text", "number": "a number", "boolean": "true or false"}


def _kind(node: Node) -> str:
    types = form_of(node).types
    if types and types <= _NUMBERS:
        return "number"
    return "boolean" if types == {"boolean"} else "text"


def _converts(node: Node, text: str) -> bool:
    return not is_refused(converter(form_of(node).types, node.accepts)(text))


def _with(node: Node, *parts: Part) -> Node:
    return Node(node.book, (*node.parts, *parts))


def _node(comparison: Comparison, channel: Channel, name: str, *, old: bool) -> Node | None:
    if channel.params.get(name) is None:
        return comparison.implied(_DEFAULT, old=old)
    return comparison.node(at("/channels", channel.name, "params", name), old=old)


def queries(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    """Compare a channel's query parameters and subprotocols."""
    for name in {**old.query, **new.query}:
        pointer = at("/channels", new.name, "query", name)
        before = at("/channels", old.name, "query", name)
        if name not in new.query:
            words = f"the query parameter `{name}` is now ignored"
            yield comparison.gone("D515", _S, words, before, near=at("/channels", new.name))
        elif name not in old.query:
            words = f"the query parameter `{name}` is now checked by a schema"
            label = "current URLs with another value get HTTP 400"
            yield comparison.change("D514", _D, words, pointer, key=True, label=label)
        else:
            use = Use(
                pointer=pointer,
                old=before,
                direction=Direction.SENT,
                affects=f"clients that connect to `{new.name}`",
                about=f"query parameter `{name}`",
                codes=("D105", "D106"),
                show=lambda value, name=name: f"?{name}={value}",  # type: ignore[misc]
            )
            was, now = comparison.node(before, old=True), comparison.node(pointer, old=False)
            if was is not None and now is not None:
                yield from comparison.differences(use, was, now)
    yield from _subprotocols(comparison, old, new)


def _subprotocols(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    was, now = old.subprotocols, new.subprotocols
    if {*was} == {*now}:
        return
    lost = [name for name in was if name not in now]
    narrower = bool(now) and (not was or bool(lost))
    shown, before = (", ".join(map("`{}`".format, each)) or "any" for each in (now, was))
    words = f"`{new.name}` now accepts {shown} as a subprotocol"
    code, level = ("D514", _B) if narrower else ("D515", _S)
    pointer = at("/channels", new.name, "subprotocols")
    yield comparison.change(code, level, words, pointer, label=f"{before} before")


def _url(comparison: Comparison, channel: Channel, values: Mapping[str, Json], *, old: bool) -> str:
    """A URL of a channel with some params given; the others are what their schemas accept."""
    pattern = _pattern(channel.path)
    texts: list[str] = []
    for segment in pattern.segments if pattern is not None else ():
        if isinstance(segment, str):
            texts.append(segment)
            continue
        value = values.get(segment.name)
        node = _node(comparison, channel, segment.name, old=old) if value is None else None
        if node is not None:
            whole = _with(node, _TEXT) if _kind(node) == "text" else node
            value = Prober().fitting(whole, whole)
        spelled = str(value).lower() if isinstance(value, bool) else str(value)
        texts.append("x" if value is None else spelled)
    return "/" + "/".join(quote(text, safe="") for text in texts)


def taken_over(comparison: Comparison, new: Channel, pairs: Mapping[str, str]) -> Iterator[Change]:
    """URLs of other channels that lead to this one now. `pairs` maps old channels to new ones."""
    pattern = _pattern(new.path)
    if pattern is None:
        return
    for name, channel in comparison.old.config.channels.items():
        other = _pattern(channel.path)
        if other is None or pairs.get(name) in (None, new.name):
            continue
        if compare(pattern, other) == "narrower" and _is_taken(comparison, channel, other, pattern):
            url = _url(comparison, new, {}, old=False)
            message = f"URLs of `{pairs[name]}` now lead to `{new.name}`"
            title, outcome = f"led to `{name}` before", f"now leads to `{new.name}`"
            witness = Witness(title=title, value=url, outcome=outcome)
            pointer = at("/channels", new.name, "path")
            yield comparison.change("D104", _B, message, pointer, witness=witness)


def _is_taken(comparison: Comparison, channel: Channel, old: PathPattern, new: PathPattern) -> bool:
    """Whether the literals of the new path were values of the old one's params."""
    for segment, mine in zip(old.segments, new.segments, strict=False):
        if isinstance(segment, PathParam) and isinstance(mine, str):
            node = _node(comparison, channel, segment.name, old=True)
            if node is None or not _converts(node, mine):
                return False
    return True

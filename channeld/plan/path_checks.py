"""Checks the paths of all channels together: parses each, reads its params' schemas, and finds URLs that two claim."""

from collections.abc import Callable, Mapping

import attrs

from channeld.config.model import Channel, Config
from channeld.diagnostics.diagnostic import Related
from channeld.plan.path_syntax import PathParam, PathPattern, PathSlip, compare, parse_path
from channeld.plan.paths import PathTable, converter
from channeld.plan.templates import TemplateCompiler
from channeld.pointer import at
from channeld.schema.schemas import Schemas
from channeld.suggest import did_you_mean

TEXT = frozenset({"string"})
SEGMENT_TYPES = frozenset({"string", "integer", "number", "boolean"})
Reader = Callable[[str], object]


class _Unknown(dict[str, frozenset[str]]):
    """The params of an invalid path: contains every name, so that one mistake causes one finding."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> frozenset[str]:
        return TEXT


@attrs.define(eq=False)
class PathBook:
    """The paths of a configuration: the matching table, and the types of each channel's params."""

    templates: TemplateCompiler
    schemas: Schemas
    table: PathTable[str] = attrs.field(factory=PathTable, init=False)
    _types: dict[str, dict[str, frozenset[str]]] = attrs.field(factory=dict, init=False)

    @classmethod
    def read(cls, config: Config, templates: TemplateCompiler, schemas: Schemas) -> "PathBook":
        """Read every channel's path and params, and report errors."""
        book = cls(templates, schemas)
        for channel in config.channels.values():
            book._add(channel)
        return book

    def types(self, channel: str) -> Mapping[str, frozenset[str]]:
        """The params of a channel's path, and the JSON types of each."""
        return self._types.get(channel, {})

    def _add(self, channel: Channel) -> None:
        pointer = at("/channels", channel.name)
        mistakes: list[PathSlip] = []
        pattern = parse_path(channel.path, mistakes)
        for mistake in mistakes:
            place = self.templates.sources.span(at(pointer, "path"), mistake.offset, mistake.length)
            self.templates.find(mistake.code, mistake.message, place, mistake.help)
        if pattern is None:
            self._types[channel.name] = _Unknown()
            return
        self._compare_params(channel, pattern, pointer)
        readers = self._readers(channel, pattern, pointer)
        if self._is_free(channel, pattern, pointer):
            self._note_shadows(channel, pattern, pointer)
            self.table.add(pattern, channel.name, readers)

    def _compare_params(self, channel: Channel, pattern: PathPattern, pointer: str) -> None:
        inside = pattern.params
        lost = [name for name in channel.params if name not in inside]
        open_ = [name for name in inside if name not in channel.params]
        for name in lost:
            known = ", ".join(f"`{{{param}}}`" for param in inside)
            otherwise = f"the path has {known}" if known else f"write `{{{name}}}` in the path"
            help = did_you_mean(name, open_ or inside, otherwise)
            where = at(pointer, "params", name)
            message = f"the path has no `{{{name}}}`"
            self.templates.find("CH302", message, where, help, key=True)
        if not channel.params or lost:
            return
        for name in open_:
            offset = pattern.offset(name)
            place = self.templates.sources.span(at(pointer, "path"), offset, len(name) + 2)
            finding = f"`{name}` is any text of 1–128 characters"
            help = f"add it to `params`, as the others: `{name}: {{type: string, pattern: …}}`"
            self.templates.find("CH303", finding, place, help)

    def _readers(self, channel: Channel, pattern: PathPattern, pointer: str) -> dict[str, Reader]:
        readers: dict[str, Reader] = {}
        types = self._types.setdefault(channel.name, dict.fromkeys(pattern.params, TEXT))
        for name in pattern.params:
            if name not in channel.params:
                continue
            place = at(pointer, "params", name)
            validator = self.schemas.validator(place)
            found = self.schemas.shape(place).lookup(())
            allowed = found.types if found.known and found.types else TEXT
            if not allowed & SEGMENT_TYPES:
                self._refuse_schema(place, name, allowed)
                continue
            types[name] = _given(allowed)
            readers[name] = converter(allowed, validator.accepts if validator else None)
        return readers

    def _refuse_schema(self, pointer: str, name: str, types: frozenset[str]) -> None:
        finding = f"no URL segment can satisfy the schema of `{name}`"
        label = f"it allows only {' or '.join(f'`{one}`' for one in sorted(types))}"
        help = "give it `type: string`, `integer`, `number` or `boolean`"
        self.templates.find("CH330", finding, pointer, help, label=label)

    def _is_free(self, channel: Channel, pattern: PathPattern, pointer: str) -> bool:
        for other, name in self.table.overlaps(pattern):
            relation = compare(pattern, other)
            if relation not in ("equal", "crossed"):
                continue
            elsewhere = self.templates.sources.place(at("/channels", name, "path"))
            related = (Related(place=elsewhere, message=f"the path of `{name}`"),)
            code, finding = "CH305", f"`{channel.name}` and `{name}` have the same path"
            help = "give one of them another path, or merge the two channels"
            if relation == "crossed":
                url = _witness(pattern, other)
                code, finding = "CH306", f"`{pattern.text}` and `{other.text}` both match `{url}`"
                help = "neither is more specific: change a literal segment of one"
            self.templates.find(code, finding, at(pointer, "path"), help, related=related)
            return False
        return True

    def _note_shadows(self, channel: Channel, pattern: PathPattern, pointer: str) -> None:
        """Report a path whose only param has just values that other channels' literals match first."""
        if len(pattern.params) != 1:
            return
        (name,) = pattern.params
        if name not in channel.params:
            return
        values = self.schemas.shape(at(pointer, "params", name)).lookup(()).values
        texts = [value for value in values or () if isinstance(value, str)]
        if not texts or len(texts) != len(values or ()):
            return
        literal = {other.segments for other, _ in self.table.overlaps(pattern)}
        spelled = [_spell(pattern, text) for text in texts]
        if all(segments in literal for segments in spelled):
            finding = f"`{pattern.text}` is never reached"
            help = "other channels match all of its paths: remove it, or widen its `enum`"
            self.templates.find("CH307", finding, at(pointer, "path"), help)


def _given(allowed: frozenset[str]) -> frozenset[str]:
    numbers = allowed & {"integer", "number"}
    if allowed in (numbers, {"boolean"}):
        return allowed
    return TEXT


def _spell(pattern: PathPattern, text: str) -> tuple[object, ...]:
    return tuple(
        text if isinstance(segment, PathParam) else segment for segment in pattern.segments
    )


def _witness(one: PathPattern, other: PathPattern) -> str:
    """A URL that both patterns match."""
    longest = max(len(one.segments), len(other.segments))
    texts = []
    for position in range(longest):
        pair = [p.segments[position] for p in (one, other) if position < len(p.segments)]
        literals = [segment for segment in pair if isinstance(segment, str)]
        texts.append(literals[0] if literals else "x")
    return "/" + "/".join(texts)

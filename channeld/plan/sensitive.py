"""Which values of frames are marked `x-sensitive`, including those that templates copy."""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from channeld.config.model import Channel, Config
from channeld.config.source import Sources
from channeld.plan.expressions import expressions, parse
from channeld.pointer import at, leaves
from channeld.protocol.frames import Frame, Json
from channeld.schema.schemas import Schemas
from channeld.schema.sensitive import Marks, marks_of

_MARK: Json = {"x-sensitive": True}


@attrs.frozen(slots=True, eq=False)
class SensitiveFrames:
    """The marks of each frame type, merged over all channels since hiding too much does no harm, and those of claims."""

    by_type: Mapping[str, Sequence[Marks]] = attrs.field(factory=dict)
    of_claims: Sequence[Marks] = ()

    def masked(self, frame: Frame) -> Frame:
        """The frame with marked values hidden, also in frames inside it (an answer with history)."""
        found = self._masked(frame) if self.by_type else frame
        return found if isinstance(found, dict) else frame

    def told_claims(self, claims: Mapping[str, Json]) -> dict[str, Json]:
        """The claims that contain nothing marked."""
        masked: Json = dict(claims)
        for marks in self.of_claims:
            masked = marks.masked(masked)
        shown = masked if isinstance(masked, dict) else {}
        return {name: value for name, value in claims.items() if shown.get(name) == value}

    def secrets(self, frame: Json) -> list[Json]:
        """The marked values of a frame and of the frames inside it."""
        return [value for marks, each in self._inside(frame) for value in marks.secrets(each)]

    def _masked(self, value: Json) -> Json:
        if isinstance(value, list):
            return [self._masked(child) for child in value]
        if not isinstance(value, dict):
            return value
        found: Json = {name: self._masked(child) for name, child in value.items()}
        for marks in self.by_type.get(str(value.get("type")), ()):
            found = marks.masked(found)
        return found

    def _inside(self, value: Json) -> Iterator[tuple[Marks, Json]]:
        if isinstance(value, dict):
            for marks in self.by_type.get(str(value.get("type")), ()):
                yield marks, value
        for child in (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        ):
            yield from self._inside(child)


def sensitive_frames(config: Config, schemas: Schemas) -> SensitiveFrames:
    """Collect the marks of a configuration."""
    found: dict[str, list[Marks]] = {}
    for channel in config.channels.values():
        for type_, marks in (*_declared(channel, schemas), *_copied(config, channel, schemas)):
            found.setdefault(type_, []).append(marks)
    of_claims = (marks_of(schemas.resolved(at("/auth", name, "claims"))) for name in config.auth)
    return SensitiveFrames(found, [marks for marks in of_claims if marks is not None])


def hide_examples(config: Config, schemas: Schemas, sources: Sources) -> None:
    """Hide marked values of examples in code frames."""
    for channel in config.channels.values():
        for section in ("messages", "events"):
            for type_, declared in (getattr(channel, section) or {}).items():
                pointer = at("/channels", channel.name, section, type_)
                if declared.examples:
                    marks = marks_of(schemas.resolved(f"{pointer}/schema"))
                    for below in _marked(marks, list(declared.examples)):
                        sources.hide(f"{pointer}/examples{below}")


def _marked(marks: Marks | None, examples: Sequence[Json]) -> Iterator[str]:
    if marks is not None:
        for index, example in enumerate(examples):
            for _, below in leaves(example):
                if marks.is_at(below):
                    yield f"/{index}{below}"


def _declared(channel: Channel, schemas: Schemas) -> Iterator[tuple[str, Marks]]:
    for section in ("messages", "events"):
        for type_ in getattr(channel, section) or {}:
            pointer = at("/channels", channel.name, section, type_, "schema")
            marks = marks_of(schemas.resolved(pointer))
            if marks is not None:
                yield type_, marks


def _copied(config: Config, channel: Channel, schemas: Schemas) -> Iterator[tuple[str, Marks]]:
    claims = [
        marks_of(schemas.resolved(at("/auth", name, "claims"))) for name in channel.auth.names
    ]
    known = [marks for marks in claims if marks is not None]
    for type_, message in channel.messages.items():
        pointer = at("/channels", channel.name, "messages", type_, "schema")
        own = marks_of(schemas.resolved(pointer))
        templates = message.stamp if message.emit is None else message.emit
        fields = _fields(templates or {}, own, known)
        if fields is not None:
            yield message.delivered_type(type_), Marks({"properties": fields})
    yield from _presence(channel, schemas, known)


def _presence(
    channel: Channel, schemas: Schemas, claims: Sequence[Marks]
) -> Iterator[tuple[str, Marks]]:
    if channel.presence is None:
        return
    info = _fields(channel.presence.info, None, claims)
    if info is not None:
        yield "presence", Marks(_anywhere({"info": {"properties": info}}))
    state = schemas.resolved(at("/channels", channel.name, "presence", "state"))
    if marks_of(state) is not None:
        # A presence state also appears in other frames, under other names, so hide all of it.
        yield "presence", Marks(_anywhere(dict.fromkeys(("state", "set", "update"), _MARK)))


def _fields(
    templates: Mapping[str, Json], message: Marks | None, claims: Sequence[Marks]
) -> dict[str, Json] | None:
    """Marks for fields whose templates read something marked; None if none do."""
    found: dict[str, Json] = {}
    for name, template in templates.items():
        for one in expressions(parse(template, "", [])):
            marked = (message,) if one.root == "message" else claims if one.root == "claims" else ()
            if any(marks is not None and marks.touches(one.path) for marks in marked):
                found[name] = _MARK
    return found or None


def _anywhere(properties: dict[str, Json]) -> Json:
    """A schema that applies this to every object, at any depth."""
    node: Json = {
        "properties": properties,
        "additionalProperties": {"$ref": "#/$defs/node"},
        "items": {"$ref": "#/$defs/node"},
    }
    return {"$ref": "#/$defs/node", "$defs": {"node": node}}

"""The option `require`: which claims a sender needs, with which values. Also describes a channel's own `require`."""

import json
from collections.abc import Iterator, Mapping, Sequence

from channeld.config.model import Message
from channeld.diagnostics.render.markdown import code
from channeld.plan.options.option import Difference, MessageOption, MessageOutcome
from channeld.plan.requires import with_type_spoken_of
from channeld.protocol.frames import Json
from channeld.schema.cases import identity
from channeld.schema.words import choices

Alternatives = Sequence[Mapping[str, Json]]


class RequireOption(MessageOption):
    """Restricts who may send. It is checked when it is compiled (`requires.py`)."""

    key = "require"

    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """Requiring more shuts senders out; requiring less lets others in."""
        return require_differences(was.require, now.require)

    def shown(self, message: Message) -> Json:
        """As it is written."""
        return shown_require(message.require)

    def words(self, message: Message) -> str:
        """The alternatives."""
        return require_words(message.require)

    def outcomes(self, type: str, message: Message) -> Iterator[MessageOutcome]:
        """A refusal."""
        if message.require:
            yield MessageOutcome("refusal", f"{type} (FORBIDDEN)")


def shown_require(require: Alternatives) -> Json:
    """A `require` as declared: one mapping or a list of alternatives; None if there is none."""
    if len(require) > 1:
        return [dict(one) for one in require]
    return dict(require[0]) if require else None


def require_words(require: Alternatives) -> str:
    """A `require` as a Markdown sentence; empty if there is none."""
    if not require:
        return ""
    alternatives = (
        " and ".join(
            f"the claim {code(name)} {code(json.dumps(v, ensure_ascii=False))}"
            for name, v in one.items()
        )
        for one in require
    )
    return f"Only with {', or '.join(alternatives)}."


def require_differences(old: Alternatives, new: Alternatives) -> Iterator[Difference]:
    """How a change of `require` affects those who must satisfy it."""
    if len(old) <= 1 and len(new) <= 1:
        yield from _entries(*(dict(one[0]) if one else {} for one in (old, new)))
        return
    known, listed = ([identity(dict(one)) for one in several] for several in (old, new))
    # An alternative is gone, or the first ones are new: clients that satisfy none of the rest are shut out.
    if new and (not old or any(each not in listed for each in known)):
        gone = [one for one, each in zip(old, known, strict=True) if each not in listed]
        words = " or ".join(map(_alternative, gone)) or "no claim at all"
        yield _more(f"{words} is no longer sufficient")
    if not new:
        yield _less("no claim is required any longer", is_gone=True)
    elif old:
        come = [one for one, each in zip(new, listed, strict=True) if each not in known]
        for one in come:
            yield _less(f"{_alternative(one)} is now sufficient")


def _more(words: str, key: str = "") -> Difference:
    return Difference(code="D403", level="breaking", words=words, key=key, is_of_senders=True)


def _less(words: str, key: str = "", *, is_gone: bool = False) -> Difference:
    return Difference(
        code="D404",
        level="safe",
        words=words,
        key=key,
        is_gone=is_gone,
        is_of_senders=True,
        is_of_security=True,
    )


def _alternative(entries: Mapping[str, Json]) -> str:
    return " and ".join(f"`{claim}` {_any_of(value)}" for claim, value in entries.items())


def _entries(was: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[Difference]:
    for claim, value in now.items():
        if claim not in was:
            yield _more(f"`{claim}` must now be {_any_of(value)}", claim)
            continue
        lost = _missing(was[claim], value)
        gained = _missing(value, was[claim])
        if lost:
            yield _more(f"`{claim}` may no longer be {choices(lost)}", claim)
        if gained:
            yield _less(f"`{claim}` may now be {choices(gained)}", claim)
    for claim in was:
        if claim not in now:
            yield _less(f"`{claim}` is no longer required", claim, is_gone=True)


def _options(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _any_of(value: Json) -> str:
    return choices(_options(value))


def _missing(these: Json, among: Json) -> list[Json]:
    """The alternatives of `these` that neither are in `among` nor satisfy one of its schemas."""
    others = _options(among)
    known = {identity(each) for each in others}
    schemas = [each for each in others if isinstance(each, dict)]
    return [
        each
        for each in _options(these)
        if identity(each) not in known and not any(_is_inside(each, other) for other in schemas)
    ]


def _is_inside(one: Json, other: dict[str, Json]) -> bool:
    if not isinstance(one, dict):
        return False
    from channeld.schema.compare.inclusion import inclusion  # noqa: PLC0415 - only to compare configurations

    found = inclusion(with_type_spoken_of(one), with_type_spoken_of(other))
    return found.refuted is None and not found.undecided

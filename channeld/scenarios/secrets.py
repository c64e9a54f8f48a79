"""Masks what schemas mark as sensitive in all output about a scenario: frames, files, hooks' messages."""

import json
from collections.abc import Collection, Iterator
from typing import Final

import attrs

from channeld.protocol.frames import CheckedJson, Json
from channeld.scenarios.outcome import FileResult
from channeld.schema.sensitive import scrubbed

SHORTEST: Final = 4
"""Shorter texts are masked in frames, but not searched for elsewhere: they would be found in any word."""


def value_texts(value: Json) -> Iterator[str]:
    """The texts that reveal a value: every string and number in it, as itself and as JSON."""
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from value_texts(child)
    elif value is not None and not isinstance(value, bool):
        for text in (str(value), json.dumps(value), json.dumps(value, ensure_ascii=False)):
            plain = text.strip('"')
            if len(plain) >= SHORTEST:
                yield plain


def without(result: FileResult, secrets: Collection[str]) -> FileResult:
    """A result with every text in it scrubbed, keeping columns in the file's own text."""
    if not secrets:
        return result
    text = result.text
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "•" * len(secret))
    outcomes = scrub(result.outcomes, tuple(secrets))
    return attrs.evolve(result, text=text, outcomes=outcomes)


def scrub(value: CheckedJson, secrets: tuple[str, ...]) -> CheckedJson:
    """A value with secrets masked in all of its texts, inside lists, tuples, mappings and attrs classes."""
    if type(value) is str:
        return scrubbed(value, secrets)
    if isinstance(value, dict):
        return {name: scrub(each, secrets) for name, each in value.items()}
    if isinstance(value, list):
        return [scrub(each, secrets) for each in value]
    if isinstance(value, tuple):
        return tuple(scrub(each, secrets) for each in value)
    if attrs.has(type(value)):
        fields = [field.name for field in attrs.fields(type(value)) if field.init]
        return attrs.evolve(
            value, **{name: scrub(getattr(value, name), secrets) for name in fields}
        )
    return value

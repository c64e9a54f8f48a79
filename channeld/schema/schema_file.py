"""Checks a file of JSON Schemas by itself, as far as possible without its configuration.

The file is one schema, or several under any names (`schema: messages.json#/whisper`). What depends on a schema's use (extra
fields, message size) is checked with the configuration.
"""

import posixpath
from typing import Final

from channeld.config.model import Channel, ChannelAuth, Config, Event
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Report
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.checks import check_schemas
from channeld.schema.schemas import Schemas
from channeld.schema.vocabulary import has_keyword

_OURS: Final = ("channeld", "channels", "scenarios", "config")


def is_schema_file(value: Json) -> bool:
    """Whether a document looks like one or several JSON Schemas and not like a configuration."""
    return (
        isinstance(value, dict)
        and not any(key in value for key in _OURS)
        and (has_keyword(value) or (bool(value) and all(map(has_keyword, value.values()))))
    )


def check_schema_file(sources: Sources) -> Report:
    """Check the schemas of the main file, and those in other files that they refer to; the report of `sources` is replaced."""
    report = sources.report = Report()
    tree = sources.tree(sources.root)
    value = tree.value if tree is not None else None
    file = posixpath.basename(sources.root)
    names = [""] if has_keyword(value) or not isinstance(value, dict) else list(value)
    events = {name: Event(schema=f"{file}#{at('', name) if name else ''}") for name in names}
    channel = Channel(name="", path="/", auth=ChannelAuth(), events=events)
    schemas = Schemas(Config(channels={"": channel}), sources, report)
    report.extend(check_schemas(Config(), schemas, sources))
    return report

"""One of the two compared configurations: its model, locations and schemas."""

import os
from collections.abc import Mapping

import attrs

from channeld.config.load import load
from channeld.config.model import Config
from channeld.config.source import FileSystem, Sources
from channeld.diagnostics.diagnostic import Place, Report
from channeld.plan.sensitive import hide_examples
from channeld.schema.schemas import Schemas


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Unloaded:
    """A side that could not be understood; `unreadable` says why its main file could not be read."""

    name: str
    report: Report
    sources: Sources
    unreadable: str = ""


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Side:
    """A configuration. `name` is how people named it; `prefix` goes before its files' names where they are shown.

    If the report has errors, `config` lacks the invalid parts.
    """

    name: str
    config: Config
    sources: Sources
    schemas: Schemas
    report: Report
    prefix: str = ""

    @property
    def files(self) -> list[str]:
        """The names of its files as they are shown, the main file first."""
        return [self.prefix + file for file in self.sources.files]

    def text(self, file: str) -> str | None:
        """The text of a file, with secrets masked; None if it is not one of the side's."""
        if not file.startswith(self.prefix):
            return None
        return self.sources.text(file[len(self.prefix) :])

    def place(self, pointer: str, *, key: bool = False) -> Place:
        """The location of a value of the merged configuration or its key, or of its nearest ancestor."""
        return self.shown(self.sources.place(pointer, key=key))

    def shown(self, place: Place) -> Place:
        """A place with its file's name as it is shown."""
        return attrs.evolve(place, file=self.prefix + place.file) if self.prefix else place

    def is_known(self, pointer: str) -> bool:
        """Whether the value and everything in it is known: unset variables make theirs unknown."""
        return not any(p == pointer or p.startswith(f"{pointer}/") for p in self.sources.unset)


def load_side(
    file: str,
    files: FileSystem,
    *,
    name: str,
    prefix: str = "",
    environ: Mapping[str, str] = os.environ,
) -> Side | Unloaded:
    """Load one side and its schemas, without hooks. Never raises because of the files' contents.

    `name` is what the user called the side; `prefix` goes before file names where they are shown, such as `main:`.
    """
    loaded = load(file, files, environ)
    sources = loaded.sources
    report = Report()
    report.extend(loaded.report)
    if loaded.config is None:
        unreadable = sources.unreadable.get(file, "")
        return Unloaded(name=name, report=report, sources=sources, unreadable=unreadable)
    # From here on the sources' own findings (schema files) and those about schemas go to the same report.
    sources.report = report
    schemas = Schemas(loaded.config, sources, report)
    hide_examples(loaded.config, schemas, sources)
    return Side(
        name=name,
        config=loaded.config,
        sources=sources,
        schemas=schemas,
        report=report,
        prefix=prefix,
    )

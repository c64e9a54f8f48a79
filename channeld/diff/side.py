"""One of the two configurations that are compared: what it says, where, and its schemas."""

import os
from collections.abc import Mapping

import attrs

from channeld.config.load import FileSystem, load
from channeld.config.model import Config
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Place, Report
from channeld.plan.sensitive import hide_examples
from channeld.pointer import value_at
from channeld.protocol.frames import Json
from channeld.schema.schemas import Schemas


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Unloaded:
    """A side of which nothing could be understood; `unreadable` says why its main file could not be read."""

    name: str
    report: Report
    sources: Sources
    unreadable: str = ""


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Side:
    """A configuration. `name` is how people named it; `prefix` goes before its files' names where they are shown.

    With errors in the report `config` is what is left without the parts that are wrong.
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
        """The text of one of them, secrets covered; None if it is none of them."""
        if not file.startswith(self.prefix):
            return None
        return self.sources.text(file[len(self.prefix) :])

    def place(self, pointer: str, *, key: bool = False) -> Place:
        """Where a value of the merged configuration, or its key, stands: that of the nearest around it if it is not there."""
        return self.shown(self.sources.place(pointer, key=key))

    def shown(self, place: Place) -> Place:
        """A place with its file's name as it is shown."""
        return attrs.evolve(place, file=self.prefix + place.file) if self.prefix else place

    def written(self, pointer: str) -> Json:
        """What stands at a pointer of the merged configuration; None where nothing does."""
        return value_at(self.sources.value, pointer)

    def is_known(self, pointer: str) -> bool:
        """Whether the value there, and all in it, is really known: variables that are not set hide theirs."""
        return not any(p == pointer or p.startswith(f"{pointer}/") for p in self.sources.unset)


def load_side(
    file: str,
    files: FileSystem,
    *,
    name: str,
    prefix: str = "",
    environ: Mapping[str, str] = os.environ,
) -> Side | Unloaded:
    """Load one side and its schemas; hooks are not looked at. Never raises for what the files say.

    Args:
        file: the main file, as `files` knows it.
        files: how its files are reached.
        name: how people named the side.
        prefix: what goes before file names where they are shown, such as `main:`.
        environ: the variables that `${NAME}` may name.
    """
    loaded = load(file, environ=environ, read=files.read, list_files=files.list_files)
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

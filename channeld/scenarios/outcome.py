"""Results of scenarios: passed, failed or not run, and why; as values that can be pickled."""

import enum
from collections.abc import Iterable

import attrs

from channeld.diagnostics.diagnostic import Diagnostic, Place
from channeld.diagnostics.render.texts import Joined, OneText
from channeld.scenarios.coverage import Exercised
from channeld.scenarios.matching import Deviation


class Status(enum.StrEnum):
    """FAIL: something was not as expected. ERROR: it could not be run. SKIP: deliberately not run."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    ERROR = "error"
    SKIP = "skip"


@attrs.define(kw_only=True)
class TimelineEntry:
    """One line of the timeline: `mark` is `>` for what a client sent, `<` for what it received, `=` for its connection."""

    time: float
    who: str
    mark: str
    text: str
    note: str = ""


@attrs.frozen(kw_only=True)
class ScenarioProblem:
    """Why a scenario did not pass.

    `place` and `label` are for the code frame. `differences` are located in the file; `notes` are further details; `where`
    names the step, or is empty.
    """

    headline: str
    place: Place
    label: str = ""
    where: str = ""
    differences: tuple[tuple[Place, Deviation], ...] = ()
    notes: tuple[str, ...] = ()
    is_error: bool = False


@attrs.frozen(kw_only=True)
class Outcome:
    """The result of one scenario; `virtual` and `seconds` are its duration in virtual and real time."""

    name: str
    status: Status
    place: Place
    problems: tuple[ScenarioProblem, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    reason: str = ""
    virtual: float = 0.0
    seconds: float = 0.0


@attrs.frozen(kw_only=True, eq=False)
class FileResult:
    """The result of one file. `diagnostics` are about the file itself; if they have errors, nothing was run.

    `backends` are the names that its configuration has.
    """

    file: str
    text: str = attrs.field(default="", repr=False)
    outcomes: tuple[Outcome, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    unreadable: str = ""
    seconds: float = 0.0
    reached: Exercised | None = None
    backends: tuple[str, ...] = ()

    def count(self, status: Status) -> int:
        """How many scenarios have this status; a file that could not be run is one ERROR."""
        broken = status is Status.ERROR and self.is_broken
        return sum(one.status is status for one in self.outcomes) + broken

    @property
    def is_broken(self) -> bool:
        """Whether the file itself has errors, so that it was not run."""
        return bool(self.unreadable) or any(d.severity == "error" for d in self.diagnostics)


def texts_of(results: Iterable[FileResult]) -> Joined:
    """The texts of scenario files, for renderings of their findings."""
    return Joined(tuple(OneText(one.file, one.text) for one in results))


def shown_seconds(seconds: float) -> str:
    """Seconds for people: `0.09s`, `6m30s`, `2h`, `3d4h`."""
    if seconds < 60:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + "s"
    parts = []
    rest = round(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)

"""What came of scenarios: passed, failed, not run, and why, in values that can cross processes."""

import enum
from collections.abc import Iterable

import attrs

from channeld.diagnostics.diagnostic import Diagnostic, Place
from channeld.diagnostics.render.texts import Joined, OneText
from channeld.scenarios.coverage import Exercised
from channeld.scenarios.matching import Deviation


class Status(enum.StrEnum):
    """FAIL: something did not come out as expected. ERROR: it could not be found out. SKIP: not run, on purpose."""

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
class Problem:
    """Why a scenario did not pass.

    `place` and `label` are what to point at and what to write under it. `differences` have their places in the file;
    `notes` say what else is known; `where` names the step, or is empty.
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
    """What came of one scenario; `virtual` and `seconds` are how long it took, on its own clock and on the wall's."""

    name: str
    status: Status
    place: Place
    problems: tuple[Problem, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    reason: str = ""
    virtual: float = 0.0
    seconds: float = 0.0


@attrs.frozen(kw_only=True, eq=False)
class FileResult:
    """What came of one file. `diagnostics` are about the file itself; with errors in them nothing was run.

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
        """How many scenarios came out like that; a file that could not be run is one ERROR."""
        broken = status is Status.ERROR and self.is_broken
        return sum(one.status is status for one in self.outcomes) + broken

    @property
    def is_broken(self) -> bool:
        """Whether the file itself is wrong, so that nothing of it was run."""
        return bool(self.unreadable) or any(d.severity == "error" for d in self.diagnostics)


def texts_of(results: Iterable[FileResult]) -> Joined:
    """The texts of scenario files, for renderings of their findings."""
    return Joined(tuple(OneText(one.file, one.text) for one in results))


def shown_seconds(seconds: float) -> str:
    """Seconds as people say them: `0.09s`, `6m30s`, `2h`, `3d4h`."""
    if seconds < 60:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + "s"
    parts = []
    rest = round(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)

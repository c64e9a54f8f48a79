"""Finds, reads and runs scenario files with their configurations, in several processes if that pays off."""

import multiprocessing
import os
import signal
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import attrs

from channeld.config.file_kinds import CONFIGURATIONS, files_below, is_scenarios
from channeld.config.load import file_system
from channeld.config.source import FileSystem
from channeld.config.yaml import parse
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Place, Related, Report
from channeld.plan.load import Checked, check
from channeld.plan.plan import Plan
from channeld.scenarios.coverage import Exercised, points
from channeld.scenarios.instrumentation import hook_names
from channeld.scenarios.model import ScenarioFile
from channeld.scenarios.outcome import FileResult, Outcome
from channeld.scenarios.runner import CAP, Tested, run_scenario
from channeld.scenarios.secrets import without
from channeld.scenarios.structure import structure
from channeld.suggest import did_you_mean
from channeld.telemetry import silenced

CONFIG: Final = CONFIGURATIONS[0]
_WORTH_A_PROCESS: Final = 100_000
"""How many bytes of scenario files take as long to read and run as a process takes to start."""


@attrs.frozen(slots=True, kw_only=True)
class Options:
    """Which scenarios to run (those whose name has this text in it), and how long each may take in real seconds.

    `backends` are the URLs of backends that are really called, by name.
    """

    select: str = ""
    cap: float = CAP
    backends: Mapping[str, str] = attrs.field(factory=dict)

    def selects(self, name: str) -> bool:
        """Whether to run a scenario with this name."""
        return self.select.casefold() in name.casefold()


@attrs.frozen(kw_only=True, eq=False)
class Parsed:
    """A file that was read: its model (None if invalid), its text, and the findings."""

    file: str
    text: str = attrs.field(default="", repr=False)
    content: ScenarioFile | None = None
    report: Report = attrs.field(factory=Report)
    unreadable: str = ""


# ---------------------------------------------------------------------------------------------------------- files


def find_files(paths: Iterable[str]) -> list[str]:
    """Scenario files: those named, and every `*.test.yaml` below each folder; without duplicates, in order."""
    found: dict[str, None] = {}
    for path in paths:
        below = map(os.path.normpath, files_below(path, is_scenarios))
        found.update(dict.fromkeys(sorted(below) if Path(path).is_dir() else [path]))
    return list(found)


def read_file(file: str) -> Parsed:
    """Read and check one file; errors are in the result."""
    try:
        data = file_system().read(file)
    except OSError as error:
        return Parsed(file=file, unreadable=error.strerror or str(error))
    return read_text(data.decode("utf-8", "surrogateescape"), file)


def read_text(text: str, file: str) -> Parsed:
    """Check the text of a file."""
    found, report = Report(), Report()
    data = text.encode("utf-8", "surrogateescape")
    tree = parse(data, file, found)
    # `yes` is ordinary text in a frame, and a scenario fails if it was meant otherwise. An empty file is reported below.
    report.extend(one for one in found if one.code not in ("CH005", "CH012"))
    content = None
    if tree is not None:
        content = structure(tree, report)
    elif not report.errors:
        message = "the file has no scenario"
        report.add(diagnose("CH813", message, Place(file), help="start it with `scenarios:`"))
    shown = data.decode("utf-8", "replace").removeprefix("\ufeff")
    return Parsed(file=file, text=shown, content=content, report=report)


# ------------------------------------------------------------------------------------------------------------ run


def run_files(
    files: Sequence[str], options: Options, *, jobs: int | None = None
) -> Iterator[FileResult]:
    """Read and run files, and give their results in the order of the files.

    `jobs` is the number of processes; None: up to the number of cores, depending on the amount of work.
    """
    count = min(len(files), _worthwhile(files) if jobs is None else jobs)
    if count <= 1:
        runs = Runs(options)
        yield from (runs.run(read_file(file)) for file in files)
        return
    # Spawned, not forked, so that hooks start with clean memory.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, _start, (options,))
    try:
        yield from pool.map(_run_by_name, files)
    finally:
        pool.shutdown(cancel_futures=True)


def _worthwhile(files: Sequence[str]) -> int:
    size = sum(Path(file).stat().st_size for file in files if Path(file).is_file())
    return min(os.cpu_count() or 1, size // _WORTH_A_PROCESS)


class Runs:
    """Runs files one after the other; each configuration is compiled once."""

    def __init__(
        self, options: Options, *, import_hooks: bool = True, files: FileSystem | None = None
    ) -> None:
        self._options = options
        self._import_hooks = import_hooks
        self._files = files
        self._configs: dict[tuple[str, tuple[tuple[str, str], ...]], Checked] = {}

    def check(self, parsed: Parsed, told: Collection[str] = ()) -> Report:
        """Check a file, its configuration (unless it is `told`, so reported elsewhere) and its stubs, without running anything."""
        content, report = parsed.content, parsed.report
        if content is None:
            return report
        found = Report()
        with silenced():
            config = self._config(content, found)
        if config is not None and config.plan is not None:
            _check_stubs(content, config.plan, report)
        elif config_file(content) not in told:
            report.extend(found)
        return report

    def run(self, parsed: Parsed) -> FileResult:
        """Run one parsed file; returns its result."""
        started = time.perf_counter()
        content, report = parsed.content, parsed.report
        outcomes: list[Outcome] = []
        tested: Tested | None = None
        backends: tuple[str, ...] = ()
        selects = self._options.selects
        if content is not None and any(selects(one.name) for one in content.scenarios):
            with silenced():
                config = self._config(content, report)
                if config is not None and (plan := config.plan) is not None:
                    _check_stubs(content, plan, report)
                    backends = tuple(plan.config.backends)
                    if not report.errors:
                        source = config.sources.place
                        tested = Tested(
                            plan=plan,
                            reached=Exercised(config.file, points(plan.config, source)),
                            source=source,
                            cap=self._options.cap,
                            backends=self._options.backends,
                        )
                        outcomes = [
                            run_scenario(one, content.tree, tested)
                            for one in content.scenarios
                            if selects(one.name)
                        ]
        shows = len(report) > 0 or any(outcome.problems for outcome in outcomes)
        result = FileResult(
            file=parsed.file,
            text=parsed.text if shows else "",
            outcomes=tuple(outcomes),
            diagnostics=tuple(report.sorted()),
            unreadable=parsed.unreadable,
            seconds=time.perf_counter() - started,
            reached=tested.reached if tested is not None else None,
            backends=backends,
        )
        return without(result, tested.secrets if tested is not None else set())

    def _config(self, content: ScenarioFile, report: Report) -> Checked | None:
        """The configuration of a file; reports CH811 or CH812 if unavailable."""
        file = config_file(content)
        tree = content.tree
        place = tree.place("/config") if content.config else tree.place("")
        if file is None:
            message = f"there is no {CONFIG} in this folder or above"
            help = f"name it: `config: ../{CONFIG}`"
            report.add(diagnose("CH811", message, _first_line(place), help=help))
            return None
        key = (file, tuple(sorted(content.env.items())))
        if key not in self._configs:
            environ = {**os.environ, **content.env}
            self._configs[key] = check(
                file, environ=environ, import_hooks=self._import_hooks, files=self._files
            )
        config = self._configs[key]
        if config.unreadable:
            message = f"`{file}` can't be read: {config.unreadable}"
            help = "the path is relative to the scenario file"
            report.add(diagnose("CH811", message, place, help=help))
            return None
        if config.plan is None:
            errors = sorted(config.report.errors, key=lambda one: (one.place.file, one.place.line))
            related = tuple(
                Related(place=one.place, message=f"{one.code}: {one.message}") for one in errors[:5]
            )
            message = f"`{file}` is not valid"
            help = f"`channeld validate {file}` shows all of it"
            at = place if content.config else _first_line(place)
            report.add(diagnose("CH811", message, at, help=help, related=related))
            return None
        return config


def config_file(content: ScenarioFile) -> str | None:
    """The configuration of a scenario file; None if it names none and there is none above it."""
    return content.config or _upwards(content.tree.file)


def _first_line(place: Place) -> Place:
    return Place(place.file, 1, 1, 1, 1)


def _upwards(file: str) -> str | None:
    """The nearest `channels.yaml` in the file's folder or above, as a path like the file's own."""
    folder = Path(file).absolute().parent
    for at in (folder, *folder.parents):
        if (at / CONFIG).is_file():
            return os.path.relpath(at / CONFIG)
    return None


def _check_stubs(content: ScenarioFile, plan: Plan, report: Report) -> None:
    """CH814: a stub for a hook that the configuration does not name would never be called."""
    names = hook_names(plan)
    for scenario in content.scenarios:
        for name, stub in scenario.stubs.items():
            if name in names:
                continue
            known = ", ".join(f"`{one}`" for one in names) or "none"
            help = did_you_mean(name, names, f"its hooks: {known}")
            message = f"the configuration has no hook `{name[:80]}`"
            place = content.tree.key_place(stub.pointer)
            report.add(diagnose("CH814", message, place, help=help))


# ------------------------------------------------------------------------------------------------------ processes

_runs: list[Runs] = []


def _start(options: Options) -> None:
    # The parent handles interrupts: it sends no more files.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _runs[:] = [Runs(options)]


def _run_by_name(file: str) -> FileResult:
    return _runs[0].run(read_file(file))

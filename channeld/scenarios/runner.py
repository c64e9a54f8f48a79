"""Runs one scenario: connects the clients, performs the steps whenever all tasks are idle, and checks for leftovers."""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Final

import attrs
import trio
import trio.testing

from channeld.config.tree import Tree
from channeld.diagnostics.diagnostic import Place
from channeld.groups import first, leaves
from channeld.plan.plan import Plan
from channeld.protocol.codes import ErrorCode
from channeld.scenarios.coverage import Exercised
from channeld.scenarios.instrumentation import HookFailure, HookWitness, instrument
from channeld.scenarios.live_backends import LiveBackends
from channeld.scenarios.model import Scenario, SendRaw, SendStep
from channeld.scenarios.outcome import Outcome, ScenarioProblem, Status, TimelineEntry
from channeld.scenarios.perform import Failed, Performer
from channeld.scenarios.world import Stage
from channeld.testing import running

CAP = 10.0
"""Seconds of the wall's clock that a scenario may take."""


class TookTooLong(BaseException):
    """The scenario exceeded its time limit. Not an Exception: hooks must not catch it."""


@attrs.frozen(kw_only=True, eq=False)
class Tested:
    """The configuration that scenarios test, and what their runs collect: coverage, and the texts of sensitive values.

    `source` locates a pointer in the configuration. `backends` are the URLs of backends that are really called, by name; the
    others are unreachable. Each run may take `cap` seconds of real time.
    """

    plan: Plan
    reached: Exercised
    source: Callable[[str], Place] = Place
    cap: float = CAP
    backends: Mapping[str, str] = attrs.field(factory=dict)
    secrets: set[str] = attrs.field(factory=set)


def run_scenario(scenario: Scenario, tree: Tree, tested: Tested) -> Outcome:
    """Run one scenario of a file on an engine of its own. Never raises for what the scenario or a hook does."""
    place = tree.place(f"{scenario.pointer}/name")
    if scenario.skip:
        return Outcome(name=scenario.name, status=Status.SKIP, place=place, reason=scenario.skip)
    run = _Run(scenario, tree, tested)
    started = time.perf_counter()
    try:
        with _seeded(), _capped(tested.cap, run.cancel):
            trio.run(run.main, clock=trio.testing.MockClock())
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or not run.contains(error):
            raise
        run.add_error(error)
    if run.is_cancelled:
        words = f"it took longer than {tested.cap:g} s of real time"
        run.problems = [run.problem(words, is_error=True)]
    return Outcome(
        name=scenario.name,
        status=run.status,
        place=place,
        problems=tuple(run.problems),
        timeline=tuple(run.timeline if run.problems else ()),
        virtual=run.virtual,
        seconds=time.perf_counter() - started,
    )


@contextmanager
def _seeded() -> Iterator[None]:
    """Make the order of tasks and hooks' random numbers the same in every run.

    trio randomises the order of ready tasks, and has no public way to change that; hypothesis and pytest-trio set the same
    two names. Hooks use the functions of `random` itself, so that is seeded; the caller's sequence is restored afterwards.
    """
    scheduler = import_module("trio._core._run")
    numbers = random.getstate()
    random.seed(0)
    before = getattr(scheduler, _DETERMINISTIC, False)
    setattr(scheduler, _DETERMINISTIC, True)
    shuffle = getattr(scheduler, "_r", None)
    if isinstance(shuffle, random.Random):
        shuffle.seed(0)
    try:
        yield
    finally:
        setattr(scheduler, _DETERMINISTIC, before)
        random.setstate(numbers)


_DETERMINISTIC: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"


@contextmanager
def _capped(seconds: float, cancel: Callable[[], None]) -> Iterator[None]:
    """Cancel what runs too long, and interrupt it a second later if that did not help (a hook that never waits).

    Only the main thread can be interrupted; elsewhere there is no limit. A timer that ran before continues afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    expired = 0

    def on_alarm(_signal: int, _frame: FrameType | None) -> None:
        nonlocal expired
        expired += 1
        if expired > 1:
            raise TookTooLong
        cancel()

    before = signal.signal(signal.SIGALRM, on_alarm)
    started = time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            passed = time.monotonic() - started
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - passed), interval)


@attrs.define(eq=False)
class _Run:
    """One run and its results."""

    scenario: Scenario
    tree: Tree
    tested: Tested
    problems: list[ScenarioProblem] = attrs.field(factory=list)
    timeline: list[TimelineEntry] = attrs.field(factory=list)
    virtual: float = 0.0
    where: str = ""
    is_cancelled: bool = False
    _token: trio.lowlevel.TrioToken | None = None
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    @property
    def status(self) -> Status:
        """The status of the run so far."""
        if not self.problems:
            return Status.PASS
        return Status.ERROR if self.problems[0].is_error else Status.FAIL

    def cancel(self) -> None:
        """Abort; called from a signal handler."""
        self.is_cancelled = True
        if self._token is not None:
            self._token.run_sync_soon(self._scope.cancel)

    def contains(self, error: BaseException) -> bool:
        """Whether an exception belongs to the scenario rather than being the user's interrupt."""
        return all(isinstance(leaf, Exception | TookTooLong) for leaf in leaves(error))

    def add_error(self, error: BaseException) -> None:
        """Record what stopped the run."""
        error = first(error)
        words = " ".join(f"{type(error).__name__}: {error}".split())
        self.problems = [self.problem("it could not be run to its end", words, is_error=True)]

    def problem(self, headline: str, label: str = "", *, is_error: bool = False) -> ScenarioProblem:
        """A problem of the whole scenario."""
        place = self._step_place(-1)
        return ScenarioProblem(
            headline=headline, place=place, label=label, where=self.where, is_error=is_error
        )

    # ------------------------------------------------------------------------------------------------------ play

    async def main(self) -> None:
        """The whole run, on trio."""
        self._token = trio.lowlevel.current_trio_token()
        witness = HookWitness(lambda channel, name: self.tested.reached.add(channel, "hook", name))
        plan = instrument(self.tested.plan, witness, self.scenario.stubs)
        with self._scope:
            await self._play(plan, witness)

    async def _play(self, plan: Plan, witness: HookWitness) -> None:
        async with running(plan) as app:
            app.engine.backends = LiveBackends(app.runtime, self.tested.backends, witness)
            for lifespan in plan.lifespans:
                self.tested.reached.add("server", "hook", lifespan.name)
            stage = Stage(app, self.scenario, self.tested.reached, secrets=self.tested.secrets)
            self.timeline = stage.timeline
            performer = Performer(stage, self.tree.place, self.tested.source)
            try:
                await self._perform(stage, performer, witness)
            except Failed as failed:
                self.problems.append(failed.problem)
            else:
                self.problems += _left_over(stage, performer, self.tree)
            self.virtual = stage.now
            _mark_left_over(stage)
            stage.leave()
            witness.step = len(self.scenario.steps)
            failures = app.runtime.failures
            _count(plan, self.tested.reached)
            # Tasks that are cancelled from here on did not time out.
            await app.rest()
            witness.is_over = True
        self.problems += [self._hook_problem(one) for one in witness.failures if not self.problems]
        for error in failures if not self.problems else ():
            self.add_error(error)

    async def _perform(self, stage: Stage, performer: Performer, witness: HookWitness) -> None:
        for name, spec in self.scenario.clients.items():
            self.where = performer.where = f"client {name} connects"
            await performer.enter(spec, spec.pointer)
            self._see(stage, performer, witness)
        total = len(self.scenario.steps)
        for number, step in enumerate(self.scenario.steps):
            if not isinstance(step, SendStep | SendRaw):
                await stage.app.rest()
                self._see(stage, performer, witness)
            stage.step = witness.step = number
            client = f", client {step.client}" if step.client is not None else ""
            self.where = f"step {number + 1} of {total}{client}"
            performer.where = f"{self.where}, t=+{stage.now:.3f}s"
            await performer.perform(step)
        await stage.app.rest()
        self._see(stage, performer, witness)
        self.where = performer.where = "at the end"

    def _see(self, stage: Stage, performer: Performer, witness: HookWitness) -> None:
        """Fail for what is always wrong: a hook that raised, a frame that violates its schema."""
        if witness.failures:
            raise Failed(self._hook_problem(witness.failures[0]))
        if stage.breaches:
            bad = stage.breaches[0]
            bad.received.entry.note = "<-- here"
            said = [
                f"`{v.path}` {v.message}" if v.path else v.message for v in bad.breach.violations
            ]
            raise Failed(
                ScenarioProblem(
                    headline=f"a frame to {bad.actor.name} breaks the schema of {bad.breach.declared}",
                    place=self._step_place(bad.step),
                    label=said[0] if said else "",
                    where=self._step_words(bad.step),
                    notes=(
                        *said[1:],
                        f"{bad.actor.name} received {stage.shown(bad.received.frame, 1000)}",
                        performer.sent_by(bad.received),
                    ),
                )
            )

    def _hook_problem(self, failure: HookFailure) -> ScenarioProblem:
        notes = (f"at {failure.at}",) if failure.at else ()
        return ScenarioProblem(
            headline=f"hook {failure.hook} {failure.words}",
            place=self._step_place(failure.step),
            label="during this step" if failure.step >= 0 else "",
            where=self._step_words(failure.step),
            notes=notes,
        )

    def _step_place(self, number: int) -> Place:
        steps = self.scenario.steps
        if 0 <= number < len(steps):
            return self.tree.place(steps[number].pointer)
        return self.tree.place(f"{self.scenario.pointer}/name")

    def _step_words(self, number: int) -> str:
        total = len(self.scenario.steps)
        if 0 <= number < total:
            return f"step {number + 1} of {total}"
        return "while the clients connect" if number < 0 else "at the end"


def _left_over(stage: Stage, performer: Performer, tree: Tree) -> Iterator[ScenarioProblem]:
    """A problem for each client with unconsumed frames or an unexpected end."""
    for actor in stage.actors.values():
        left = [one for one in actor.inbox.left_over() if one.fate != "refusal"]
        at = tree.key_place(stage.scenario.clients[actor.name].pointer)
        if left:
            yield ScenarioProblem(
                headline=f"{len(left)} frame{'s' * (len(left) > 1)} to {actor.name} not consumed",
                place=at,
                label="`expect` each of them, or `ignore` their type",
                where="at the end",
                notes=tuple(
                    f"{stage.shown(one.frame)}, {performer.sent_by(one)}" for one in left[:5]
                ),
            )
        if actor.was_sent_away and actor.closed is not None:
            code, reason = actor.closed
            yield ScenarioProblem(
                headline=f"the server closed {actor.name}, and no step expected it",
                place=at,
                label=f"closed with {code} ({reason})",
                where="at the end",
            )


def _mark_left_over(stage: Stage) -> None:
    for actor in stage.actors.values():
        for received in actor.inbox.left_over():
            if not received.entry.note and received.fate != "refusal":
                received.entry.note = "(not consumed)"


def _count(plan: Plan, reached: Exercised) -> None:
    """Turn the engine's counters and received frames into coverage points."""
    for channel in plan.channels.values():
        for type_, message in channel.messages.items():
            counted = message.counters
            if counted.accepted:
                reached.add(channel.name, "message", type_)
            for number, code in (
                (counted.invalid, ErrorCode.INVALID_MESSAGE),
                (counted.forbidden, ErrorCode.FORBIDDEN),
                (counted.rate_limited, ErrorCode.RATE_LIMITED),
            ):
                if number:
                    reached.add(channel.name, "refusal", f"{type_} ({code})")

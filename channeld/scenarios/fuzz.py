"""Calls message hooks with generated messages: no message that the schema accepts may make a hook raise.

Messages are sent in scenarios, so hooks run as in a server and a failure is already a scenario. It is then reduced to a
smaller message that fails in the same way, alone, on a fresh server.
"""

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Final, TypeGuard

import attrs

from channeld.config.model import Rate
from channeld.config.writing import flow
from channeld.dev.address import likely_path
from channeld.dev.claims import claims_meeting
from channeld.plan.plan import ChannelPlan, Hook, MessagePlan, Plan
from channeld.protocol.frames import Json
from channeld.scenarios.coverage import Exercised, Point
from channeld.scenarios.instrumentation import rebuilt
from channeld.scenarios.made_up import Maker, shrunk
from channeld.scenarios.outcome import ScenarioProblem
from channeld.scenarios.runner import Tested, run_scenario
from channeld.scenarios.scenario_text import scenario_text
from channeld.scenarios.suite import Options, read_text
from channeld.telemetry import silenced

_USER: Final = "ann"
_FILE: Final = "fuzz.test.yaml"
_TOGETHER: Final = 25
"""Messages of one scenario: an engine for each would take most of the time."""
_ANY: Final[Sequence[Json]] = ({"type": "$any"},)
_UNLIMITED: Final = Rate(limit=1_000_000, period=1.0, burst=1_000_000)


@attrs.frozen(slots=True, kw_only=True)
class FuzzFailure:
    """A hook that raised: a description, the line, the frame, and a scenario that reproduces it."""

    words: str
    at: str
    frame: Mapping[str, Json]
    scenario: str


@attrs.frozen(slots=True, kw_only=True)
class Fuzzed:
    """The result for one message hook: how many messages were sent, and the failure; or why it was skipped."""

    channel: str
    message: str
    hook: str
    sent: int = 0
    failure: FuzzFailure | None = None
    reason: str = ""


def fuzz(
    plan: Plan,
    count: int,
    *,
    options: Options | None = None,
) -> Iterator[Fuzzed]:
    """Test each message hook of a configuration with `count` messages, in the order of the file."""
    options = options or Options()
    unlimited = _without_rates(plan)
    for channel in plan.channels.values():
        for message in channel.messages.values():
            hook = message.hook
            if hook is not None and options.selects(f"{channel.name}/{message.type}"):
                tested = Tested(
                    plan=unlimited,
                    reached=Exercised(""),
                    cap=options.cap,
                    backends=options.backends,
                )
                yield _fuzzed(tested, channel, message, hook, count)


def _without_rates(plan: Plan) -> Plan:
    def unlimited(channel: ChannelPlan) -> ChannelPlan:
        limits = attrs.evolve(channel.limits, messages=_UNLIMITED, errors=_UNLIMITED)
        return attrs.evolve(channel, limits=limits)

    return rebuilt(
        plan, message=lambda message, _: attrs.evolve(message, rate=None), channel=unlimited
    )


def _fuzzed(
    tested: Tested, channel: ChannelPlan, message: MessagePlan, hook: Hook, count: int
) -> Fuzzed:
    known = Fuzzed(channel=channel.name, message=message.type, hook=hook.name)
    asks = hook.asks
    if asks is not None and asks.name not in tested.backends:
        reason = f"a backend answers it: --backend {asks.name}=URL says where"
        return attrs.evolve(known, reason=reason)
    try:
        client = _client(tested.plan, channel, message, likely_path(tested.plan, channel))
        trial = _Trial(tested, message, hook, client)
        messages = trial.messages(channel, count)
    except LookupError as error:
        return attrs.evolve(known, reason=str(error))
    failing = trial.first_failing(messages)
    if failing is not None:
        sent = messages.index(failing) + 1
        return attrs.evolve(known, sent=sent, failure=trial.failure(failing))
    point = Point(channel.name, "hook", hook.name)
    if point not in tested.reached.met:
        return attrs.evolve(known, reason="every message was refused before the hook")
    return attrs.evolve(known, sent=len(messages))


def _client(plan: Plan, channel: ChannelPlan, message: MessagePlan, path: str) -> dict[str, Json]:
    found = plan.match(path)
    params = found.params if found is not None else {}
    if not channel.auth:
        return {"path": path}
    declared = plan.config.channels[channel.name]
    requires = (declared.require, declared.messages[message.type].require)
    claims = claims_meeting(plan, channel.auth[0], requires, user=_USER, params=params)
    return {"path": path, "user": _USER, "claims": claims}


@attrs.define
class _Trial:
    """One hook being tried."""

    tested: Tested
    message: MessagePlan
    hook: Hook
    client: dict[str, Json]

    def messages(self, channel: ChannelPlan, count: int) -> list[dict[str, Json]]:
        """The declared examples, then generated ones; the same in every run.

        Raises:
            LookupError: there are none, or nobody can send them.
        """
        refusal = self.problem(())
        if refusal is not None:
            raise LookupError(f"nobody can connect: {_words(refusal)}")
        message = self.message
        declared = self.tested.plan.config.channels[channel.name].messages[message.type]
        maker = Maker(Random(f"{channel.name}/{message.type}"), self.tested.plan.config.schemas)  # noqa: S311 - the same in every run
        found = maker.messages(message, declared.examples[:count], count)
        if not found:
            raise LookupError("no message was found that its schema accepts")
        return found

    def first_failing(self, messages: Sequence[dict[str, Json]]) -> dict[str, Json] | None:
        """Find the first message for which the hook raises, alone or after the others of its scenario."""
        rest = list(messages)
        while rest:
            together, rest = rest[:_TOGETHER], rest[_TOGETHER:]
            problem = self.problem(together)
            if problem is None:
                continue
            index = self._index(problem, len(together))
            if len(together) == 1:
                if self._is_of_hook(problem):
                    return together[0]
            elif index is None:
                # The whole took too long, or ended early: find out which message caused that.
                half = len(together) // 2
                found = self.first_failing(together[:half]) or self.first_failing(together[half:])
                if found is not None:
                    return found
            elif self._is_of_hook(problem):
                return together[index]
            else:
                # Something else is wrong, such as a connection closed by the hook: start again with the others.
                rest = together[index or 1 :] + rest
        return None

    def failure(self, failing: dict[str, Json]) -> FuzzFailure:
        """The failure with the smallest message found."""
        first = self.problem((failing,))
        if first is None or not self._is_of_hook(first):
            words = "raised only after other messages"
            return FuzzFailure(words=words, at="", frame=self._frame(failing), scenario="")
        kind = _kind(first)

        def is_still(smaller: Json) -> TypeGuard[dict[str, Json]]:
            if not isinstance(smaller, dict) or not self.message.accepts(smaller):
                return False
            problem = self.problem((smaller,))
            return problem is not None and _kind(problem) == kind

        # A time-out would happen again for each smaller message.
        smallest = failing if first.is_error else shrunk(failing, is_still)
        last = self.problem((smallest,)) or first
        return FuzzFailure(
            words=_words(last),
            at=next((note.removeprefix("at ") for note in last.notes), ""),
            frame=self._frame(smallest),
            scenario=self._text((smallest,)),
        )

    def problem(self, messages: Sequence[dict[str, Json]]) -> ScenarioProblem | None:
        """What is wrong with a scenario of these messages; None if nothing is."""
        parsed = read_text(self._text(messages), _FILE)
        assert parsed.content is not None, parsed.report  # noqa: S101 - written by ourselves
        scenario = parsed.content.scenarios[0]
        with silenced():
            outcome = run_scenario(scenario, parsed.content.tree, self.tested)
        return outcome.problems[0] if outcome.problems else None

    def _text(self, messages: Sequence[dict[str, Json]]) -> str:
        wait = 1 + self.tested.plan.limits.hook_timeout
        steps: list[str] = []
        for message in messages:
            steps.append(f"{_USER}: {{send: {flow(self._frame(message))}}}")
            # A second, for rates; and until a hook that waits has been given up.
            steps.append(f"advance: {wait:g}s")
        return scenario_text(
            f"{self.message.type} does not make its hook raise",
            {_USER: self.client},
            steps,
            ignore=_ANY,
        )

    def _frame(self, message: Mapping[str, Json]) -> dict[str, Json]:
        return {"type": self.message.type, **message}

    def _index(self, problem: ScenarioProblem, count: int) -> int | None:
        first = self._text(()).count("\n") + 1
        index = (problem.place.line - first) // 2
        return index if 0 <= index < count else None

    def _is_of_hook(self, problem: ScenarioProblem) -> bool:
        return problem.is_error or problem.headline.startswith(f"hook {self.hook.name} ")


def _words(problem: ScenarioProblem) -> str:
    more = f": {problem.label}" if problem.is_error and problem.label else ""
    return f"{problem.headline}{more}"


def _kind(problem: ScenarioProblem) -> str:
    """What smaller messages must have in common: the hook, and the exception's type."""
    return problem.headline.partition(":")[0].partition("(")[0]

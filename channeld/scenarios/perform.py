"""Performs steps, and describes their failures: headline, location and details."""

from collections.abc import Callable
from typing import Final

import attrs

from channeld.diagnostics.diagnostic import Place
from channeld.engine.publishing import FrameRefused
from channeld.pointer import at
from channeld.scenarios.inbox import Mismatch, Nothing, Received, Taken
from channeld.scenarios.instrumentation import ORIGIN, FrameOrigin, caused_by
from channeld.scenarios.matching import Deviation, Env, compare, fill, shown
from channeld.scenarios.model import (
    Absent,
    Advance,
    ClientSpec,
    Close,
    Connect,
    Expect,
    ExpectClose,
    Pattern,
    PublishStep,
    SendRaw,
    SendStep,
    Step,
)
from channeld.scenarios.outcome import ScenarioProblem, shown_seconds
from channeld.scenarios.world import Actor, Stage

MUCH: Final = 1000
"""Characters of a frame that a note shows; the timeline shows less."""


class Failed(Exception):
    """A step failed; `problem` says how."""

    def __init__(self, problem: ScenarioProblem) -> None:
        super().__init__(problem.headline)
        self.problem = problem


@attrs.define(eq=False)
class Performer:
    """Performs the steps of one scenario. `place(pointer)` is a place in its file, `source(pointer)` in channels.yaml."""

    stage: Stage
    place: Callable[[str], Place]
    source: Callable[[str], Place]
    where: str = ""

    async def perform(self, step: Step) -> None:
        """Perform one step.

        Raises:
            Failed: it was not as expected.
        """
        ORIGIN.set(None)
        match step:
            case SendStep():
                await self._send(step)
            case SendRaw():
                await self._send_raw(step)
            case Expect():
                await self._expect(step)
            case Absent():
                await self._absent(step)
            case ExpectClose():
                await self._expect_close(step)
            case Close():
                await self._close(step)
            case Connect():
                await self._connect(step)
            case Advance():
                await self.stage.advance(step.seconds)
            case PublishStep():
                await self._publish(step)

    # ------------------------------------------------------------------------------------------------ connecting

    async def enter(self, spec: ClientSpec, pointer: str) -> None:
        """Connect a client, and check that it is accepted or refused as expected."""
        stage, actor = self.stage, self.stage.actors[spec.name]
        await stage.connect(actor, spec)
        got = actor.status or (actor.closed[0] if actor.was_sent_away and actor.closed else 0)
        if spec.refused is None:
            if actor.status:
                label = f"refused with HTTP {actor.status}"
                raise self._failed(f"{actor.name} was not accepted", pointer, label)
            return
        below = at(pointer, "refused")
        if got == spec.refused:
            actor.is_closure_taken = True
            for received in actor.inbox.waiting:
                received.fate = "refusal"
            return
        label = f"expected {spec.refused}, got {got}" if got else "it was accepted"
        notes = []
        if actor.is_waited_for:
            label = "it is not refused yet"
            notes.append(
                "the server waits for an `authenticate` frame until `auth_timeout`: leave out `refused`, "
                "`advance` past it, and expect UNAUTHORIZED and the close"
            )
        raise self._failed(f"{actor.name} was not refused as expected", below, label, notes=notes)

    async def _connect(self, step: Connect) -> None:
        actor = self.stage.actors[step.client]
        if actor.is_open:
            label = "it is connected; `close` first"
            raise self._failed(f"{actor.name} can't connect", step.pointer, label)
        self._demand_no_closure(actor, step.pointer)
        await self.enter(step.spec, step.pointer)

    def _demand_no_closure(self, actor: Actor, pointer: str) -> None:
        if actor.was_sent_away and actor.closed is not None:
            code, reason = actor.closed
            label = f"the server has closed with {code} ({reason}), which no step expected"
            raise self._failed(f"{actor.name} was sent away", pointer, label)

    # --------------------------------------------------------------------------------------------------- sending

    async def _send(self, step: SendStep) -> None:
        frame = fill(step.frame, self.stage.env)
        actor = self._open(step.client, step.pointer)
        told = {**frame, "token": "…"} if frame.get("type") == "authenticate" else frame
        self.stage.note(actor.name, ">", self.stage.shown(told))
        actor.asked = str(frame.get("type"))
        if actor.client is not None:
            await actor.client.send(frame)

    async def _send_raw(self, step: SendRaw) -> None:
        actor = self._open(step.client, step.pointer)
        self.stage.note(actor.name, ">", shown(step.text))
        if actor.client is not None:
            await actor.client.send_raw(step.text)

    def _open(self, name: str, pointer: str) -> Actor:
        actor = self.stage.actors[name]
        if actor.is_open:
            return actor
        self._demand_no_closure(actor, pointer)
        raise self._failed(f"{name} can't send", pointer, "it is not connected")

    async def _close(self, step: Close) -> None:
        actor = self._open(step.client, step.pointer)
        actor.is_leaving = True
        if actor.client is not None:
            await actor.client.close(step.code, step.reason)

    async def _publish(self, step: PublishStep) -> None:
        event = fill(dict(step.event), self.stage.env)
        to = {key: value for key, value in (("room", step.room), ("user", step.user)) if value}
        target = " ".join([step.to, *to.values()]) if step.to != "global" else "everyone"
        self.stage.note(
            "", "!", f"publish to {target} of {step.channel}: {self.stage.shown(event)}"
        )
        origin = FrameOrigin(
            kind="publish",
            channel=step.channel,
            name=self.where.partition(", t=")[0],
            pointer=step.pointer,
        )
        to = {step.to: to[step.to]} if step.to != "global" else {}
        try:
            with caused_by(origin):
                await self.stage.app.publish(step.channel, event, **to)
        except FrameRefused as error:
            if not step.refused:
                notes = [f"{one.path or 'the event'}: {one.message}" for one in error.violations]
                raise self._failed(
                    "the event was refused", step.pointer, str(error), notes=notes
                ) from None
        else:
            if step.refused:
                raise self._failed("the event was published", at(step.pointer, "refused"), "")

    # -------------------------------------------------------------------------------------------------- expecting

    async def _expect(self, step: Expect) -> None:
        for pattern in step.patterns:
            self.stage.keep_secrets(pattern.value)
        inbox = self.stage.actors[step.client].inbox
        verdicts = [inbox.take(step.patterns, ordered=step.ordered)]

        def is_settled() -> bool:
            if isinstance(verdicts[-1], Nothing):
                verdicts.append(inbox.take(step.patterns, ordered=step.ordered))
            return not isinstance(verdicts[-1], Nothing)

        if step.within and not is_settled():
            await self.stage.app.advance(step.within, until=is_settled)
            is_settled()
        actor = self.stage.actors[step.client]
        match verdicts[-1]:
            case Mismatch() as found:
                raise self._mismatch(actor, step, found)
            case Nothing() as found:
                raise self._nothing(actor, step, found)
            case Taken():
                pass

    async def _absent(self, step: Absent) -> None:
        if step.seconds:
            await self.stage.advance(step.seconds)
        actor = self.stage.actors[step.client]
        found = actor.inbox.first_like(step.pattern)
        if found is None:
            return
        found.entry.note = "<-- here"
        label = f"this arrived at {_time(found.time)}" if step.pattern else "something came"
        notes = self._about(actor, found)
        raise self._failed(
            f"{actor.name} received an unwanted frame", step.pointer, label, notes=notes
        )

    async def _expect_close(self, step: ExpectClose) -> None:
        actor = self.stage.actors[step.client]
        if step.within and not actor.was_sent_away:
            await self.stage.app.advance(step.within, until=lambda: actor.was_sent_away)
        if not actor.was_sent_away or actor.closed is None:
            label = "the connection is open" if actor.is_open else "the client closed it itself"
            raise self._failed(f"the server did not close {actor.name}", step.pointer, label)
        code, reason = actor.closed
        differences = compare(step.pattern.value, {"code": code, "reason": reason}, Env())
        if differences:
            raise self._differs(
                f"{actor.name} was closed differently",
                step.pattern,
                differences,
                [f"the server closed with {code} ({reason})"],
            )
        actor.is_closure_taken = True

    # ------------------------------------------------------------------------------------------------- the words

    def _failed(
        self, headline: str, pointer: str, label: str, *, notes: list[str] | None = None
    ) -> Failed:
        return Failed(
            ScenarioProblem(
                headline=headline,
                place=self.place(pointer),
                label=label,
                where=self.where,
                notes=tuple(notes or ()),
            )
        )

    def _differs(
        self, headline: str, pattern: Pattern, differences: list[Deviation], notes: list[str]
    ) -> Failed:
        placed = tuple((self.place(pattern.pointer + one.path), one) for one in differences)
        first = differences[0]
        return Failed(
            ScenarioProblem(
                headline=headline,
                place=placed[0][0],
                label=f"expected {first.expected}, got {first.got}",
                where=self.where,
                differences=placed,
                notes=tuple(notes),
            )
        )

    def _mismatch(self, actor: Actor, step: Expect, found: Mismatch) -> Failed:
        found.received.entry.note = "<-- here"
        notes = self._about(actor, found.received)
        later = [
            one
            for one in actor.inbox.waiting
            if one is not found.received
            and not compare(found.pattern.value, one.frame, self.stage.env)
        ]
        if later and step.ordered:
            notes.append(
                f"the expected frame also arrived, at {_time(later[0].time)}: check the order"
            )
        headline = f"{actor.name} received another frame than expected"
        return self._differs(headline, found.pattern, found.differences, notes)

    def _nothing(self, actor: Actor, step: Expect, found: Nothing) -> Failed:
        notes = self._why_nothing(actor, found)
        headline = f"{actor.name} did not receive what was expected"
        if found.nearest is not None:
            found.nearest.entry.note = "<-- nearest"
            notes.insert(0, f"the nearest was {self.stage.shown(found.nearest.frame, MUCH)}")
            return self._differs(headline, found.pattern, list(found.differences), notes)
        passed = [one for one in actor.inbox.waiting if actor.inbox.may_pass(one)]
        waiting = [str(one.frame.get("type")) for one in passed]
        label = (
            f"nothing like it arrived within {shown_seconds(step.within)}"
            if step.within
            else "nothing like it arrived"
        )
        if waiting:
            notes.insert(
                0, f"only {', '.join(dict.fromkeys(waiting))} arrived, which may be skipped"
            )
        else:
            notes.insert(0, f"{actor.name}'s inbox is empty")
        return self._failed(headline, found.pattern.pointer, label, notes=notes)

    def _why_nothing(self, actor: Actor, found: Nothing) -> list[str]:
        """Possible reasons: the frame was consumed before, sent to others or refused, or the connection has ended."""
        notes = []
        for one in actor.inbox.past:
            if not compare(found.pattern.value, one.frame, self.stage.env):
                notes.append(
                    f"one that matches arrived at {_time(one.time)} and was {one.fate} by an earlier step"
                )
                break
        for other in self.stage.actors.values():
            frames = [*other.inbox.past, *other.inbox.waiting]
            if other is not actor and any(
                not compare(found.pattern.value, one.frame, self.stage.env) for one in frames
            ):
                notes.append(f"{other.name} received one that matches")
            refusals = [one for one in other.inbox.waiting if one.frame.get("type") == "error"]
            if refusals:
                notes.append(f"{other.name} was refused: {self.stage.shown(refusals[0].frame)}")
        if actor.closed is not None:
            who = "the client" if actor.is_leaving else "the server"
            notes.append(f"{who} has closed with {actor.closed[0]} ({actor.closed[1]})")
        elif not actor.is_open:
            notes.append(f"{actor.name} is not connected")
        return notes

    def _about(self, actor: Actor, received: Received) -> list[str]:
        whole = self.stage.shown(received.frame, MUCH)
        return [f"{actor.name} received {whole}", self.sent_by(received)]

    def sent_by(self, received: Received) -> str:
        """The origin of a frame, with the location of its declaration."""
        origin = received.origin
        if received.frame.get("type") == "error":
            return "sent by the server, as a refusal"
        if origin is None:
            return "sent by the server itself"
        if origin.kind == "publish":
            return f"sent by `publish`, {origin.name}"
        place = self.source(origin.pointer)
        where = f"{place.file}:{place.line}:{place.column}"
        if origin.kind == "message":
            return f"sent by the route of `{origin.name}`, {where}"
        return f"sent by hook {origin.name}, {where}"


def _time(seconds: float) -> str:
    return f"+{seconds:.3f}s"

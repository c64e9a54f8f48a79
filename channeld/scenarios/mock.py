"""Serves a contract without its back end: any token is accepted, hooks agree, declared events are generated.

Invalid frames, rooms, rates and requirements are refused as by the server, so a front end can be written and tested before
its back end exists.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

import attrs
import orjson
import trio

from channeld.app import App
from channeld.auth.authenticator import Denied, Grant, accept_user
from channeld.auth.token_places import find_token
from channeld.dev.claims import claims_in, likely_claims
from channeld.engine.ports import Surroundings
from channeld.engine.publishing import FrameRefused
from channeld.hooks import Request, User
from channeld.plan.plan import AuthPlan, ChannelPlan, Hook, Plan
from channeld.protocol.frames import Json
from channeld.scenarios.instrumentation import FrameOrigin, rebuilt
from channeld.schema.sample import sample

_NEVER: Final = 4_102_444_800  # 2100-01-01: the `exp` of claims that have none


def agreeing(plan: Plan) -> Plan:
    """The plan with hooks that agree, no lifespan, no webhooks, and everything in this process."""

    def agree(hook: Hook, origin: FrameOrigin) -> Hook:
        return Hook(name=hook.name, call=lambda *_args: None, is_async=False)

    config = attrs.evolve(plan.config, broker="memory", webhooks=(), api=None)
    server = attrs.evolve(plan.server, workers=1, tls=None, allowed_origins="any")
    made = rebuilt(plan, agree)
    return attrs.evolve(made, config=config, server=server, lifespans=())


def mock_app(plan: Plan, on_ready: Callable[[Sequence[str]], None]) -> App:
    """A server for a plan in which all hooks agree (`agreeing`)."""
    app = App(plan, on_ready=on_ready)
    app.engine.find_user = _find_user
    app.engine.verifiers = {
        auth.name: _AnyToken(auth)
        for channel in plan.channels.values()
        for auth in channel.auth
        if auth.name in app.engine.verifiers
    }
    return app


@attrs.frozen
class _AnyToken:
    """Accepts any token: a JWT's claims are trusted, any other text is the user's id."""

    auth: AuthPlan

    @property
    def token_from(self) -> Sequence[str]:
        """The same as the authenticator that it replaces."""
        found: Sequence[str] = getattr(self.auth.declared, "token_from", ())
        return found

    async def verify(self, token: str, wall: float) -> Grant | Denied:
        """The user that it names."""
        claims = claims_in(token)
        return self.vouch(str(claims.get("sub", token[:128])), claims, wall)

    def vouch(self, user: str, claims: Mapping[str, Json], wall: float) -> Grant | Denied:
        """The user, if the claims satisfy the authenticator's schema; missing ones are generated."""
        schema = self.auth.compiled.claims
        known = {"sub": user, "exp": _NEVER, **likely_claims(schema, user), **claims}
        found = User(user, known)
        reason = accept_user(schema, found)
        return Grant(found) if reason is None else Denied(reason, of_claims=True)


async def _find_user(
    engine: Surroundings, channel: ChannelPlan, request: Request, _connection: str
) -> Grant | Denied | None:
    """`?user=` and `?claims=` (JSON), else any token."""
    user, wall = request.query.get("user"), engine.runtime.clock.wall()
    for auth in channel.auth:
        verifier = engine.verifiers.get(auth.name) or _AnyToken(auth)
        if user:
            try:
                claims = orjson.loads(request.query.get("claims", "{}"))
            except ValueError:
                claims = None
            if not isinstance(claims, dict):
                return Denied("`claims` in the query is not a JSON object")
            return verifier.vouch(user, claims, wall)
        token = find_token(verifier.token_from, request)
        if token is not None:
            return await verifier.verify(token, wall)
    return None


# ------------------------------------------------------------------------------------------------------ made up events


def samples_of(plan: Plan, channel: str) -> Iterator[dict[str, Json]]:
    """Frames of each declared event: its examples, else one generated from its schema."""
    declared = plan.config.channels[channel].events or {}
    for name, event in (plan.channels[channel].events or {}).items():
        values = list(declared[name].examples) or [sample(event.validator.schema)]
        for value in values:
            if isinstance(value, dict):
                yield {"type": name, **value}


async def make_up(app: App, every: float) -> None:
    """Publish the declared events in turn to everyone, one on each channel every `every` seconds."""
    plan = app.engine.plan
    frames = {name: list(samples_of(plan, name)) for name in plan.channels}
    turn = 0
    while True:
        await trio.sleep(every)
        for name, made in frames.items():
            if made:
                await _publish(app, name, made[turn % len(made)])
        turn += 1


async def _publish(app: App, channel: str, frame: dict[str, Json]) -> None:
    rooms = [room for room, _ in app.engine.hub.topics(channel)]
    # A generated one that its own channel refuses is left out.
    with suppress(FrameRefused):
        for room in rooms:
            await app.hook_server.publish(channel, frame, room=room)
        if not rooms:
            await app.hook_server.publish(channel, frame, everyone=True)

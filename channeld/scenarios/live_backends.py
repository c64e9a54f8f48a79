"""Calls real backends for hooks over HTTP while everything else is virtual.

A request is made by the server's own client, in a thread with its own clock: it is signed with the real time, and its time
limit is real. Virtual time stands still meanwhile, since a server with running threads is not idle.
"""

import secrets
from collections.abc import Mapping

import attrs
import orjson
import trio

from channeld.engine.ports import BackendAnswer, BackendUnavailable
from channeld.plan.plan import RemoteHook
from channeld.scenarios.instrumentation import HookFailure, HookWitness
from channeld.server.backends import BackendPool
from channeld.server.runtime import TrioClock
from channeld.testing import VirtualRuntime


@attrs.define(eq=False)
class LiveBackends:
    """Implements `channeld.engine.ports.Backends` for backends that have a URL; the others are unreachable.

    Errors are failures of the hook, reported to the `witness`.
    """

    runtime: VirtualRuntime
    urls: Mapping[str, str]
    witness: HookWitness

    async def ask(self, remote: RemoteHook, body: bytes, seconds: float) -> BackendAnswer:
        """POST a request to the backend's real URL, and read the answer.

        Raises:
            BackendUnavailable: it has no URL, or could not be reached.
        """
        url = self.urls.get(remote.name)
        if url is None:
            raise BackendUnavailable(f"backend {remote.name} cannot be reached from here")
        self.witness.on_hook(str(orjson.loads(body)["channel"]), _name_of(remote))
        moved = attrs.evolve(remote, backend=attrs.evolve(remote.backend, url=url))
        try:
            answer: BackendAnswer = await self.runtime.in_thread(
                seconds, _ask, moved, body, seconds
            )
        except BackendUnavailable as error:
            self.note_bad(_name_of(remote), str(error))
            raise
        return answer

    def note_bad(self, hook: str, reason: str) -> None:
        """Record that a backend did not answer, or that its answer is invalid."""
        failure = HookFailure(hook=hook, words=f"failed: {reason}", step=self.witness.step)
        self.witness.failures.append(failure)


def _name_of(remote: RemoteHook) -> str:
    return f"{remote.name}{remote.path}"


def _ask(remote: RemoteHook, body: bytes, seconds: float) -> BackendAnswer:
    return trio.run(_ask_in_real_time, remote, body, seconds)


async def _ask_in_real_time(remote: RemoteHook, body: bytes, seconds: float) -> BackendAnswer:
    pool = BackendPool(TrioClock(), secrets.token_urlsafe)
    try:
        return await pool.ask(remote, body, seconds)
    finally:
        await pool.aclose()

"""A plan served on a free port of this process, for tests that connect to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from channeld.app import App
from channeld.plan.plan import Plan
from channeld.server.sockets import bind


@asynccontextmanager
async def served(plan: Plan) -> AsyncIterator[str]:
    """Serve until the block ends; yields the `ws:` URL without a path."""
    ready = trio.Event()
    app = App(plan, on_ready=lambda _addresses: ready.set())
    sockets = bind(["127.0.0.1:0"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.run, sockets)
        await ready.wait()
        yield f"ws://127.0.0.1:{sockets[0].getsockname()[1]}"
        nursery.cancel_scope.cancel()

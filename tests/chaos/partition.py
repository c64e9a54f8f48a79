"""A bad network between a node and its Redis: what passes through can be delayed, held in one direction or both, or cut."""

import contextlib
from typing import Literal

import trio

__all__ = ["Direction", "Partition"]

Direction = Literal["up", "down"]


class Partition:
    """Listens at one Unix socket and passes on to another. TCP loses nothing, so what is held comes when it is healed.

    Attributes:
        delay: seconds that each piece is late.
        held: directions in which nothing passes: `up` to the server, `down` from it.
    """

    def __init__(self, front: str, back: str) -> None:
        self.front, self.back = front, back
        self.delay = 0.0
        self.held: frozenset[Direction] = frozenset()
        self._healed = trio.Event()
        self._live: dict[trio.CancelScope, trio.SocketStream] = {}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Pass on until cancelled; started when it listens."""
        with trio.socket.socket(trio.socket.AF_UNIX) as listener:
            await listener.bind(self.front)
            listener.listen()
            async with trio.open_nursery() as nursery:
                task_status.started()
                while True:
                    sock, _ = await listener.accept()
                    nursery.start_soon(self._pass_on, trio.SocketStream(sock))

    def heal(self) -> None:
        """Let everything pass again."""
        self.delay, self.held = 0.0, frozenset()
        self._healed.set()
        self._healed = trio.Event()

    def cut(self) -> None:
        """End what is connected now."""
        for scope in list(self._live):
            scope.cancel()

    async def half_close(self) -> None:
        """Tell the server that nothing more comes, while what it says still passes."""
        for stream in list(self._live.values()):
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                await stream.send_eof()

    async def _pass_on(self, front: trio.SocketStream) -> None:
        try:
            back = await trio.open_unix_socket(self.back)
        except OSError:
            await front.aclose()
            return
        async with front, back:
            assert isinstance(back, trio.SocketStream)
            with trio.CancelScope() as scope:
                self._live[scope] = back
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._pump, "up", front, back, scope)
                        nursery.start_soon(self._pump, "down", back, front, scope)
                finally:
                    del self._live[scope]

    async def _pump(
        self,
        direction: Direction,
        source: trio.SocketStream,
        sink: trio.SocketStream,
        scope: trio.CancelScope,
    ) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some(65536):
                await trio.sleep(self.delay)
                while direction in self.held:
                    await self._healed.wait()
                await sink.send_all(data)
        scope.cancel()

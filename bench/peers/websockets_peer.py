"""Peer: `websockets` on asyncio or uvloop; echoes, or broadcasts with the library's own `broadcast`."""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

ROOM: set[ServerConnection] = set()


async def connection(ws: ServerConnection) -> None:
    if ws.request is not None and ws.request.path == "/fan":
        ROOM.add(ws)
        try:
            async for message in ws:
                broadcast(ROOM, message)
        finally:
            ROOM.discard(ws)
    else:
        async for message in ws:
            await ws.send(message)


async def main() -> None:
    async with serve(connection, "127.0.0.1", int(sys.argv[1]), compression=None, backlog=4096):
        await asyncio.get_running_loop().create_future()


if sys.argv[2] == "uvloop":
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())

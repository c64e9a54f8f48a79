"""Peer: `websockets` on asyncio or uvloop; echoes, or broadcasts with the library's own `broadcast`."""

import asyncio
import os
import ssl
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


def context() -> ssl.SSLContext | None:
    if os.environ["BENCH_FLAVOUR"] != "tls":
        return None
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(os.environ["BENCH_CERTIFICATE"], os.environ["BENCH_KEY"])
    return found


async def main() -> None:
    compression = "deflate" if os.environ["BENCH_FLAVOUR"] == "deflate" else None
    port = int(sys.argv[1])
    async with serve(
        connection, "127.0.0.1", port, compression=compression, backlog=4096, ssl=context()
    ):
        await asyncio.get_running_loop().create_future()


if sys.argv[2] == "uvloop":
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())

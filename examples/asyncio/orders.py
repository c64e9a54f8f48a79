"""Hooks on asyncio: SQLAlchemy keeps the orders, aiohttp asks a shop for prices, redis.asyncio counts, asyncpg listens.

With DATABASE_URL=postgresql+asyncpg://…, `NOTIFY shipped, '7'` in the database tells every client that order 7 has left.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import redis.asyncio
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from channeld import Context, Reject, Server

log = logging.getLogger("orders")
DATABASE = os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///orders.db")
tables = MetaData()
orders = Table("orders", tables, Column("id", Integer, primary_key=True), Column("sku", String))


@dataclass
class Stores:
    """Opened once per process; every hook finds it in `ctx.state`."""

    database: AsyncEngine
    shop: aiohttp.ClientSession
    counts: redis.asyncio.Redis


@asynccontextmanager
async def lifespan(server: Server) -> AsyncIterator[Stores]:
    database = create_async_engine(DATABASE)
    async with (
        aiohttp.ClientSession(os.environ["SHOP_URL"]) as shop,
        redis.asyncio.from_url(os.environ["REDIS_URL"]) as counts,
    ):
        async with database.begin() as connection:
            await connection.run_sync(tables.create_all)
        if DATABASE.startswith("postgresql"):
            server.start_soon(listen, server)
        yield Stores(database, shop, counts)
    await database.dispose()


async def listen(server: Server) -> None:
    """Publish the database's notifications until the lifespan ends; reconnect if the connection is lost."""
    while True:
        try:
            await relay(server)
        except (OSError, asyncpg.PostgresError) as error:
            log.warning("no notifications: %s", error)
        await asyncio.sleep(1)


async def relay(server: Server) -> None:
    told: asyncio.Queue[str | None] = asyncio.Queue()
    connection = await asyncpg.connect(DATABASE.replace("+asyncpg", ""))
    try:
        connection.add_termination_listener(lambda _: told.put_nowait(None))
        await connection.add_listener("shipped", lambda *found: told.put_nowait(found[-1]))
        while (order := await told.get()) is not None:
            await server.publish("orders", {"type": "shipped", "order": order}, everyone=True)
    finally:
        await connection.close()


async def place(ctx: Context, message: dict[str, Any]) -> None:
    stores: Stores = ctx.state
    async with stores.shop.get(f"/prices/{message['sku']}") as answer:
        if answer.status != 200:
            raise Reject("there is no such thing", code="NO_SUCH_THING")
        price = (await answer.json())["price"]
    async with stores.database.begin() as connection:
        placed = await connection.execute(insert(orders).values(sku=message["sku"]))
    count = await stores.counts.incr("orders")
    await ctx.reply({"order": placed.inserted_primary_key[0], "price": price, "orders": count})


async def recent(ctx: Context, message: dict[str, Any]) -> None:
    async with ctx.state.database.connect() as connection:
        rows = await connection.execute(select(orders).order_by(orders.c.id.desc()).limit(10))
        await ctx.reply({"orders": [{"order": row.id, "sku": row.sku} for row in rows]})

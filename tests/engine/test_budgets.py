"""What a client has used up stays used up when it comes back; and the books stay small."""

import pytest

from channeld.engine.budgets import FEWEST, MOST_DEBTS, MOST_IDLE, AccountKey, Budgets, Debt
from channeld.testing import Client
from tests.engine.conftest import Serve

RATES = """
  room:
    path: /rooms/{id}
    auth: session
    limits: {messages: "2/m", errors: "1/m"}
    messages: {say: {schema: true, route: sender, rate: "1/m"}, other: {schema: true, route: sender}}
  open:
    path: /open
    auth: none
    limits: {messages: "2/m", errors: "1/m"}
    messages: {say: {schema: true, route: sender, rate: "1/m"}, other: {schema: true, route: sender}}
"""

KEY: AccountKey = ("room", "ann", "")


async def outcome(client: Client, type: str = "other") -> str:
    await client.received()
    await client.send({"type": type})
    [frame] = await client.received()
    return str(frame.get("code", frame["type"]))


@pytest.mark.parametrize(("path", "user"), [("/rooms/a", "ann"), ("/open", None)])
async def test_reconnecting_gives_no_new_messages(
    serve: Serve, path: str, user: str | None
) -> None:
    async with serve(RATES) as app:
        first = await app.connect(path, user=user)
        assert [await outcome(first), await outcome(first)] == ["other", "other"]
        await first.close()
        second = await app.connect(path, user=user)
        assert await outcome(second) == "RATE_LIMITED"
        await second.close()
        await app.advance(61)
        assert await outcome(await app.connect(path, user=user)) == "other"


@pytest.mark.parametrize(("path", "user"), [("/rooms/a", "ann"), ("/open", None)])
async def test_reconnecting_gives_no_new_errors(serve: Serve, path: str, user: str | None) -> None:
    async with serve(RATES) as app:
        client = await app.connect(path, user=user)
        await client.send({"type": "unheard-of"})
        await client.close()
        last = await app.connect(path, user=user)
        await last.send({"type": "unheard-of"})
        assert (await last.wait_closed())[0] == 4429


async def test_all_connections_of_a_user_share_one_rate_of_a_type(serve: Serve) -> None:
    async with serve(RATES) as app:
        tabs = [await app.connect("/rooms/a", user="ann") for _ in range(3)]
        assert [await outcome(tab, "say") for tab in tabs] == [
            "say",
            "RATE_LIMITED",
            "RATE_LIMITED",
        ]
        bob = await app.connect("/rooms/a", user="bob")
        assert await outcome(bob, "say") == "say"
        for tab in tabs:
            await tab.close()
        assert await outcome(await app.connect("/rooms/a", user="ann"), "say") == "RATE_LIMITED"


async def test_neighbours_share_nothing_but_the_next_one_pays(serve: Serve) -> None:
    async with serve(RATES) as app:
        one, other = await app.connect("/open"), await app.connect("/open")
        assert [await outcome(one, "say"), await outcome(other, "say")] == ["say", "say"]
        await one.close()
        assert await outcome(await app.connect("/open"), "say") == "RATE_LIMITED"
        assert await outcome(await app.connect("/open"), "say") == "say"


def test_an_account_is_forgotten_when_all_is_full_again() -> None:
    budgets = Budgets()
    rates = budgets.rates_of(KEY)
    rates["say"] = 5.0
    budgets.release(KEY, 1.0)
    assert budgets.rates_of(KEY) is rates
    budgets.release(KEY, 6.0)
    budgets.charge(KEY, Debt(messages=5.0), 5.0)
    assert len(budgets) == 0
    budgets.charge(KEY, Debt(messages=7.0), 6.0)
    assert budgets.inherit(KEY, 6.5) == Debt(messages=7.0)
    assert (budgets.inherit(KEY, 6.5), len(budgets)) == (None, 0)


def test_of_many_debts_of_one_account_the_largest_stay_and_go_first() -> None:
    budgets = Budgets()
    for number in range(MOST_DEBTS + 5):
        budgets.charge(KEY, Debt(messages=10.0 + number), 1.0)
    taken = [budgets.inherit(KEY, 1.0) for _ in range(MOST_DEBTS + 1)]
    left = [Debt(messages=10.0 + number) for number in range(MOST_DEBTS + 4, 4, -1)]
    assert taken == [*left, None]


def test_accounts_that_are_full_again_are_swept_out() -> None:
    budgets = Budgets()
    for number in range(FEWEST):
        budgets.charge(("room", None, str(number)), Debt(messages=2.0), 1.0)
    budgets.charge(KEY, Debt(messages=9.0), 3.0)
    assert len(budgets) == 1


def test_there_are_never_many_more_idle_accounts_than_the_bound() -> None:
    budgets, most = Budgets(), 0
    budgets.rates_of(KEY)
    for number in range(3 * MOST_IDLE):
        budgets.charge(("room", None, str(number)), Debt(messages=9.0), 1.0)
        most = max(most, len(budgets))
    assert most <= 2 * MOST_IDLE + 3
    assert budgets.rates_of(KEY) == {}

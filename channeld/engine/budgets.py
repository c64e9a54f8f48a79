"""Remembers what connections have used up of their rates after they have ended, so that reconnecting gains a client nothing.

An account belongs to a user on a channel or, for anonymous connections, to an address. Living connections of a user share the rates of
message types. What a connection has used up of its own limits is charged to the next connection of the account, until the limit would be
full again. Connections that are open at the same time do not share these limits: behind one address there may be many clients.

Bounded: an account without connections is forgotten once everything is full again; above `MOST_IDLE`, the oldest is forgotten.
"""

from typing import Final, TypeAlias

import attrs

MOST_IDLE: Final = 100_000
MOST_DEBTS: Final = 100
FEWEST: Final = 1_000

AccountKey: TypeAlias = tuple[str, str | None, str]
"""The channel, and the user, or None and the address."""


@attrs.frozen(slots=True)
class Debt:
    """Arrival times as `limits.take` returns them: for all messages, errors, a flood, and types (anonymous connections only)."""

    messages: float = 0.0
    errors: float = 0.0
    flood: float = 0.0
    types: dict[str, float] = attrs.field(factory=dict)

    def ends(self) -> float:
        """When everything would be full again."""
        return max(self.messages, self.errors, self.flood, *self.types.values())


@attrs.define(eq=False)
class _Account:
    rates: dict[str, float] = attrs.field(factory=dict)
    holders: int = 0
    debts: list[Debt] = attrs.field(factory=list)

    def is_full(self, now: float) -> bool:
        """Whether it can be forgotten without loss."""
        self.debts = [debt for debt in self.debts if debt.ends() > now]
        return not (self.holders or self.debts or any(at > now for at in self.rates.values()))


class Budgets:
    """One per engine."""

    def __init__(self) -> None:
        self._accounts: dict[AccountKey, _Account] = {}
        self._sweep_at = FEWEST

    def __len__(self) -> int:
        """How many accounts are kept."""
        return len(self._accounts)

    def rates_of(self, key: AccountKey) -> dict[str, float]:
        """The arrival times of a user's message types, shared by all its connections; `release` them at the end."""
        account = self._account(key)
        account.holders += 1
        return account.rates

    def release(self, key: AccountKey, now: float) -> None:
        """A connection that held an account's rates has ended."""
        account = self._accounts.get(key)
        if account is not None:
            account.holders -= 1
            self._forget(key, account, now)

    def charge(self, key: AccountKey, debt: Debt, now: float) -> None:
        """Charge an account with what an ended connection has used up."""
        if debt.ends() <= now:
            return
        debts = self._account(key).debts
        debts.append(debt)
        if len(debts) > MOST_DEBTS:
            debts.remove(min(debts, key=Debt.ends))
        if len(self._accounts) > self._sweep_at:
            self._sweep(now)

    def inherit(self, key: AccountKey, now: float) -> Debt | None:
        """Take the largest open debt, with which a new connection begins; None if there is none."""
        account = self._accounts.get(key)
        if account is None or not account.debts:
            return None
        debt = max(account.debts, key=Debt.ends)
        account.debts.remove(debt)
        self._forget(key, account, now)
        return debt

    def _account(self, key: AccountKey) -> _Account:
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = _Account()
        return account

    def _forget(self, key: AccountKey, account: _Account, now: float) -> None:
        if account.is_full(now):
            del self._accounts[key]

    def _sweep(self, now: float) -> None:
        for key, account in list(self._accounts.items()):
            self._forget(key, account, now)
        idle = [key for key, account in self._accounts.items() if not account.holders]
        for key in idle[: max(0, len(idle) - MOST_IDLE)]:
            del self._accounts[key]
        # Sweeps are as rare as the table is large, so a charge costs constant time.
        self._sweep_at = max(FEWEST, 2 * len(self._accounts))

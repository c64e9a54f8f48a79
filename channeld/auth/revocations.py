"""Tokens that are not to be taken any more before they end: by user and time of issue, or by their id.

A revocation of a user refuses the JWTs of that user that were issued at `before` or earlier, in whole seconds, and those
that do not say when; one of a token refuses the JWT with that `jti`. Each is kept until no token that it could refuse is
alive, and forgotten then. There are at most `MOST`.
"""

import hashlib
import heapq
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from channeld.auth.authenticator import is_time

MOST: Final = 100_000


class RevocationsFull(ValueError):
    """There are as many revocations as are kept."""

    def __init__(self) -> None:
        super().__init__(
            f"there are {MOST} revocations already; remove some, or wait until they end"
        )


@attrs.frozen(slots=True, kw_only=True)
class Revocation:
    """One revocation, of a user or of a token.

    Attributes:
        user: whose tokens are refused; None where it is of one token.
        token_id: the `jti` of the token that is refused; None where it is of a user.
        before: Unix seconds; tokens of the user issued then or earlier are refused.
        until: Unix seconds; nothing that it could refuse is alive any more.
    """

    user: str | None = None
    token_id: str | None = None
    before: float = 0.0
    until: float

    @property
    def id(self) -> str:
        """What it is called: the same for the same user or token."""
        return revocation_id(self.user, self.token_id)

    def refuses(self, user: str | None, claims: Mapping[str, Any]) -> bool:
        """Whether a user with these claims is let in no longer."""
        if self.token_id is not None:
            return claims.get("jti") == self.token_id
        if user != self.user:
            return False
        issued = claims.get("iat")
        return not is_time(issued) or int(issued) <= int(self.before)


def revocation_id(user: str | None, token_id: str | None) -> str:
    """The id of the revocation of a user, or of a token."""
    text = f"user {user}" if user is not None else f"token {token_id}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


class Revocations:
    """The revocations that are in force on one node. Nothing here waits."""

    def __init__(self) -> None:
        self._by_id: dict[str, Revocation] = {}
        # (until, id): an entry whose revocation has been replaced or taken back means nothing.
        self._ends: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Revocation]:
        """In the order in which they were made."""
        return iter(tuple(self._by_id.values()))

    def get(self, id: str) -> Revocation | None:
        """The one of that id."""
        return self._by_id.get(id)

    def check_room(self, revocation: Revocation, wall: float) -> None:
        """Whether there is room for one more.

        Raises:
            RevocationsFull: there is not.
        """
        self._forget(wall)
        if revocation.id not in self._by_id and len(self._by_id) >= MOST:
            raise RevocationsFull

    def add(self, revocation: Revocation, wall: float) -> Revocation:
        """Put a revocation in force; where there is one of the same user or token, the stricter of each holds.

        Raises:
            RevocationsFull: there are too many.
        """
        self.check_room(revocation, wall)
        known = self._by_id.pop(revocation.id, None)
        if known is not None:
            revocation = attrs.evolve(
                revocation,
                before=max(known.before, revocation.before),
                until=max(known.until, revocation.until),
            )
        if revocation.until > wall:
            self._by_id[revocation.id] = revocation
            heapq.heappush(self._ends, (revocation.until, revocation.id))
            if len(self._ends) > 2 * MOST:
                self._ends = [(one.until, one.id) for one in self._by_id.values()]
                heapq.heapify(self._ends)
        return revocation

    def remove(self, id: str) -> bool:
        """Take one back; whether there was one."""
        return self._by_id.pop(id, None) is not None

    def refuse(self, user: str, claims: Mapping[str, Any], wall: float) -> bool:
        """Whether a token of that user with these claims is revoked."""
        if not self._by_id:
            return False
        self._forget(wall)
        token_id = claims.get("jti")
        ids = [revocation_id(user, None)]
        if isinstance(token_id, str):
            ids.append(revocation_id(None, token_id))
        found = (self._by_id.get(id) for id in ids)
        return any(one is not None and one.refuses(user, claims) for one in found)

    def _forget(self, wall: float) -> None:
        while self._ends and self._ends[0][0] <= wall:
            _, id = heapq.heappop(self._ends)
            known = self._by_id.get(id)
            if known is not None and known.until <= wall:
                del self._by_id[id]

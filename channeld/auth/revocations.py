"""Revoked tokens: by user and time of issue, or by token id.

Revoking a user refuses that user's JWTs that were issued at `before` or earlier (whole seconds) or have no `iat`; revoking
a token refuses the JWT with that `jti`. A revocation is dropped once every token that it could refuse has expired. There
are at most `MOST`.
"""

import hashlib
import heapq
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from channeld.auth.authenticator import is_time
from channeld.protocol.frames import Json

MOST: Final = 100_000


class RevocationsFull(ValueError):
    """The maximum number of revocations is in force."""

    def __init__(self) -> None:
        super().__init__(
            f"there are {MOST} revocations already; remove some, or wait until they end"
        )


@attrs.frozen(slots=True, kw_only=True)
class Revocation:
    """One revocation, of a user or of a token.

    Attributes:
        user: whose tokens are refused; None if it is about one token.
        token_id: the `jti` of the refused token; None if it is about a user.
        before: Unix seconds; tokens of the user issued then or earlier are refused.
        until: Unix seconds; after this, every token that it could refuse has expired.
    """

    user: str | None = None
    token_id: str | None = None
    before: float = 0.0
    until: float

    @property
    def id(self) -> str:
        """Its id, which is the same for the same user or token."""
        return revocation_id(self.user, self.token_id)

    def refuses(self, user: str | None, claims: Mapping[str, Json]) -> bool:
        """Whether a user with these claims is refused."""
        if self.token_id is not None:
            return claims.get("jti") == self.token_id
        if user != self.user:
            return False
        issued = claims.get("iat")
        return not is_time(issued) or int(issued) <= int(self.before)


def revocation_id(user: str | None, token_id: str | None) -> str:
    """The id of a user's or a token's revocation."""
    text = f"user {user}" if user is not None else f"token {token_id}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


class Revocations:
    """The revocations in force on one node. Nothing here waits."""

    def __init__(self) -> None:
        self._by_id: dict[str, Revocation] = {}
        # (until, id): entries of replaced or removed revocations are stale and ignored.
        self._ends: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Revocation]:
        """Iterates in order of creation."""
        return iter(tuple(self._by_id.values()))

    def get(self, id: str) -> Revocation | None:
        """The revocation with that id."""
        return self._by_id.get(id)

    def check_room(self, revocation: Revocation, wall: float) -> None:
        """Check that there is room for one more.

        Raises:
            RevocationsFull: there is not.
        """
        self._forget(wall)
        if revocation.id not in self._by_id and len(self._by_id) >= MOST:
            raise RevocationsFull

    def add(self, revocation: Revocation, wall: float) -> Revocation:
        """Put a revocation in force; merged with an existing one of the same user or token, the stricter limits hold.

        Raises:
            RevocationsFull: the maximum number is in force.
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
        """Remove a revocation; returns whether there was one."""
        return self._by_id.pop(id, None) is not None

    def refuse(self, user: str, claims: Mapping[str, Json], wall: float) -> bool:
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

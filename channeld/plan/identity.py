"""Who a channel's clients are, and what is known of their claims before any of them connects."""

from collections.abc import Iterable, Sequence

import attrs

from channeld.auth.authenticators import authenticator
from channeld.config.model import Auth, ChannelAuth, Config
from channeld.protocol.frames import Json
from channeld.schema.cases import ALL
from channeld.schema.guarantees import Shape
from channeld.schema.schemas import Schemas


@attrs.frozen(slots=True)
class Identity:
    """Who a channel's clients are: its authenticators and the schemas of their claims.

    `names` are those of the authenticators. No authenticator: everyone is anonymous; `optional`: some may be.
    `is_unknown`: a named authenticator is invalid, which has its own finding, so consequences are not reported.
    """

    authenticators: tuple[tuple[Auth, Shape | None], ...] = ()
    optional: bool = False
    is_unknown: bool = False
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, auth: ChannelAuth, config: Config, schemas: Schemas) -> "Identity":
        """The identity of a channel's clients."""
        names = tuple(name for name in auth.names if name in config.auth)
        return cls(
            tuple((config.auth[name], schemas.claims(name)) for name in names),
            auth.optional,
            is_unknown=len(names) < len(auth.names),
            names=names,
        )

    @property
    def certain(self) -> bool:
        """Whether every connection has a user."""
        return (bool(self.authenticators) or self.is_unknown) and not self.optional

    def claim(self, path: tuple[str, ...]) -> "Claim":
        """What is known of a claim, over all authenticators."""
        if self.is_unknown:
            return Claim(guaranteed=True, possible=True, types=ALL)
        found = [_claim(auth, shape, path) for auth, shape in self.authenticators]
        return Claim(
            guaranteed=bool(found) and all(claim.guaranteed for claim in found),
            possible=any(claim.possible for claim in found),
            types=frozenset[str]().union(*(claim.types for claim in found)),
            values=_together(claim.values for claim in found if claim.possible),
            elements=_together(claim.elements for claim in found if claim.possible),
            names=tuple(name for claim in found for name in claim.names),
            lacking=tuple(
                name for name, claim in zip(self.names, found, strict=False) if not claim.guaranteed
            ),
        )


@attrs.frozen(slots=True, kw_only=True)
class Claim:
    """What is known about one claim. `values` and `elements` are as in `Lookup`; `lacking`: who does not guarantee it."""

    guaranteed: bool
    possible: bool
    types: frozenset[str]
    values: tuple[Json, ...] | None = None
    elements: tuple[Json, ...] | None = None
    names: Sequence[str] = ()
    lacking: Sequence[str] = ()


def _claim(auth: Auth, shape: Shape | None, path: tuple[str, ...]) -> Claim:
    standard = authenticator(auth).standard_claims()
    found = shape.lookup(path) if shape is not None else None
    names = (*(found.names if found is not None else ()), *standard)
    if found is None or not found.known:
        claim = Claim(guaranteed=False, possible=True, types=ALL, names=names)
    else:
        claim = Claim(
            guaranteed=found.guaranteed,
            possible=found.possible or found.guaranteed,
            types=found.types,
            values=found.values,
            elements=found.elements,
            names=names,
        )
    if len(path) == 1 and path[0] in standard:
        known = standard[path[0]]
        certain = claim.guaranteed or known.guaranteed
        possible = claim.possible or certain
        return attrs.evolve(claim, guaranteed=certain, possible=possible, types=known.types)
    return claim


def _together(several: Iterable[tuple[Json, ...] | None]) -> tuple[Json, ...] | None:
    """All values of several claims; None if those of one are not enumerated."""
    found: list[Json] = []
    for values in several:
        if values is None:
            return None
        found.extend(values)
    return tuple(found)

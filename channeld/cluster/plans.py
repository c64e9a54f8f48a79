"""Nodes whose plan differs from this node's, as during a rollout, and the histories that they keep.

Each `here` carries the digest of the sender's plan. If it differs, this node asks for one row per channel, to find out which
channels differ. While channels differ, every node keeps the largest history that any of them declares, so none trims what
another keeps or publishes without a position where others expect one. Nodes of other versions of channeld may not understand
any of this; the broker reports those versions.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import attrs

from channeld.config.model import History
from channeld.hub.hub import KeptElsewhere
from channeld.plan.plan import Plan
from channeld.protocol.frames import Json
from channeld.telemetry import log

MOST_TOLD: Final = 50


def rows_of(plan: Plan) -> list[Json]:
    """For each channel: its name, a digest of its declaration (without secrets), and its history's size and seconds, or zeros."""
    rows: list[Json] = []
    for name, channel in sorted(plan.config.channels.items()):
        auth = [repr(plan.config.auth.get(one)) for one in channel.auth.names]
        declared = "\n".join([repr(channel), *auth])
        digest = hashlib.sha256(declared.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        keep = channel.history
        rows.append([name, digest, keep.size if keep else 0, keep.ttl if keep else 0])
    return rows


def digest_of(rows: Sequence[Json]) -> str:
    """The digest of a whole plan."""
    return hashlib.sha256(repr(rows).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@attrs.frozen(slots=True)
class _Row:
    digest: str
    size: int
    ttl: float


class OtherPlans:
    """What this node knows about the other nodes' plans.

    Attributes:
        differing: for each node with a different plan, the channels that differ.
        versions: the other nodes' versions, without this node's own.
        on_change: called with what is kept elsewhere, by kind of topic and channel, whenever that changes.
    """

    def __init__(self, plan_of_now: Callable[[], Plan]) -> None:
        self._plan_of_now = plan_of_now
        self._plan: Plan | None = None
        self._rows: list[Json] = []
        self._own: dict[str, _Row] = {}
        self._digest = ""
        self._heard: dict[str, str] = {}
        self._others: dict[str, dict[str, _Row]] = {}
        self.differing: Mapping[str, tuple[str, ...]] = {}
        self.versions: frozenset[str] = frozenset()
        self.on_change: Callable[[Mapping[tuple[str, str], KeptElsewhere]], None] = lambda _kept: (
            None
        )

    def rows(self) -> list[Json]:
        """This node's rows."""
        self._look()
        return self._rows

    @property
    def digest(self) -> str:
        """This node's digest."""
        self._look()
        return self._digest

    def _look(self) -> None:
        plan = self._plan_of_now()
        if plan is not self._plan:
            self._plan, self._rows = plan, rows_of(plan)
            self._own, self._digest = _read(self._rows), digest_of(self._rows)

    def hear(self, node: str, digest: str) -> None:
        """Note which plan a node serves."""
        if self._heard.get(node) != digest:
            self._heard[node] = digest
            self._others.pop(node, None)
            self.compare()

    def hear_versions(self, own: str, others: frozenset[str]) -> None:
        """Note the other nodes' versions, and report a change."""
        if others == self.versions:
            return
        self.versions = others
        if others:
            log("versions_differ", own=own, others=sorted(others)[:MOST_TOLD])
        else:
            log("versions_agree")

    @property
    def is_in_doubt(self) -> bool:
        """Whether a node with a different plan must be asked for its rows."""
        own = self.digest
        return any(
            digest != own and node not in self._others for node, digest in self._heard.items()
        )

    def learn(self, rows: Mapping[str, Sequence[Json]]) -> None:
        """Take in the rows of the nodes that were asked."""
        for node, some in rows.items():
            if node in self._heard:
                self._others[node] = _read(some)
        self.compare()

    def keep_only(self, nodes: Collection[str]) -> None:
        """Forget all nodes but these, which are connected or may come back."""
        for node in set(self._heard) - set(nodes):
            del self._heard[node]
            self._others.pop(node, None)
        self.compare()

    def compare(self) -> None:
        """Find out what differs and report it, after this node's plan or the others' rows have changed."""
        self._look()
        self._others = {
            node: rows for node, rows in self._others.items() if self._heard[node] != self._digest
        }
        compared = {node: self._differences(rows) for node, rows in self._others.items()}
        found = {node: channels for node, channels in compared.items() if channels}
        if found == self.differing:
            return
        self.differing = found
        if found:
            channels = sorted({channel for some in found.values() for channel in some})
            log("plans_differ", nodes=sorted(found)[:MOST_TOLD], channels=channels[:MOST_TOLD])
        else:
            log("plans_agree")
        self.on_change(self._kept_elsewhere())

    def _differences(self, rows: Mapping[str, _Row]) -> tuple[str, ...]:
        return tuple(
            name for name in sorted({*rows, *self._own}) if rows.get(name) != self._own.get(name)
        )

    def _kept_elsewhere(self) -> dict[tuple[str, str], KeptElsewhere]:
        kept: dict[tuple[str, str], KeptElsewhere] = {}
        for rows in self._others.values():
            for name, row in rows.items():
                if row.size and name in self._own:
                    known = kept.get(("room", name))
                    size = max(row.size, known.history.size if known else 0)
                    ttl = max(row.ttl, known.history.ttl if known else 0.0)
                    is_only_there = not self._own[name].size
                    kept["room", name] = KeptElsewhere(History(size=size, ttl=ttl), is_only_there)
        return kept


def _read(rows: Sequence[Json]) -> dict[str, _Row]:
    found: dict[str, _Row] = {}
    for row in rows:
        # Rows of other nodes have been checked against the schemas of `wire`.
        if isinstance(row, list):
            name, digest, size, ttl = row
            found[str(name)] = _Row(str(digest), int(str(size)), float(str(ttl)))
    return found

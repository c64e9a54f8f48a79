"""Nodes with another plan than this one, as during a rollout, and what they keep of rooms.

Nodes send the digest of their plan with each `here`. If it differs, they are asked for a row per channel, to find out
which channels differ. As long as they do, a room's history is, on all nodes, the largest that any of them asks for: none trims what
another keeps, or publishes without a number where others count. Nodes of other versions of channeld may not understand any of this;
the broker says which there are.
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
    """For each channel: its name, a digest of what it declares (without secrets), and the size and seconds of its history, or zeros."""
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
    """What is known about the other nodes' plans.

    Attributes:
        differing: for each node with another plan, the channels that differ.
        versions: of the other nodes, without this one's.
        on_change: gets what is kept elsewhere, by kind of topic and channel, whenever that changes.
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
        """Note which plan a node says it serves."""
        if self._heard.get(node) != digest:
            self._heard[node] = digest
            self._others.pop(node, None)
            self.compare()

    def hear_versions(self, own: str, others: frozenset[str]) -> None:
        """Note of which other versions nodes are, and report a change."""
        if others == self.versions:
            return
        self.versions = others
        if others:
            log("versions_differ", own=own, others=sorted(others)[:MOST_TOLD])
        else:
            log("versions_agree")

    @property
    def is_in_doubt(self) -> bool:
        """Whether nodes with another plan have to be asked for their rows."""
        own = self.digest
        return any(
            digest != own and node not in self._others for node, digest in self._heard.items()
        )

    def learn(self, rows: Mapping[str, Sequence[Json]]) -> None:
        """Take over the rows of nodes that were asked."""
        for node, some in rows.items():
            if node in self._heard:
                self._others[node] = _read(some)
        self.compare()

    def keep_only(self, nodes: Collection[str]) -> None:
        """Forget all nodes but these, which are there or may come back."""
        for node in set(self._heard) - set(nodes):
            del self._heard[node]
            self._others.pop(node, None)
        self.compare()

    def compare(self) -> None:
        """Find out what differs, and report it: this node has a new plan, or more is known about the others'."""
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
        # The schemas of `wire` have checked what comes from others.
        if isinstance(row, list):
            name, digest, size, ttl = row
            found[str(name)] = _Row(str(digest), int(str(size)), float(str(ttl)))
    return found

"""The log of revocations in the broker: what was revoked and restored, for nodes that start later.

A running node learns of a revocation from a verb (`verbs.py`). A node reads the log when it starts to hear the others, and
again when the broker is back. With a broker of one process there is no log, because no node starts later.
"""

from operator import itemgetter
from typing import Final, TypeAlias

import orjson

from channeld.auth.revocations import MOST, Revocation, Revocations, RevocationsFull
from channeld.broker.broker import Topic
from channeld.broker.publish_options import PublishOptions
from channeld.cluster.wire import closed, row
from channeld.config.model import History
from channeld.hub.hub import Hub
from channeld.later import Pending, resolved
from channeld.protocol.frames import CheckedJson, Json
from channeld.schema.compiled import compiled

LOG: Final = Topic("node", "", "revocations")
KEEP: Final = History(size=2 * MOST, ttl=366 * 86_400.0)
PAGE: Final = 1_000

_Entry: TypeAlias = dict[str, CheckedJson]

_NAME: Final[Json] = {"type": ["string", "null"], "minLength": 1, "maxLength": 512}
_NUMBER: Final[Json] = {"type": "number"}
_ROW: Final = row(_NAME, _NAME, _NUMBER, _NUMBER)
_ID: Final[Json] = {"type": "string", "maxLength": 64}
# Any program with access to the broker can write here.
_ENTRY: Final = compiled(
    {"anyOf": [closed(at=_NUMBER, revoke=_ROW), closed(at=_NUMBER, restore=_ID)]}
)


def row_of(revocation: Revocation) -> list[Json]:
    """A revocation as JSON."""
    return [revocation.user, revocation.token_id, revocation.before, revocation.until]


def from_row(row: CheckedJson) -> Revocation:
    """The revocation in such a row."""
    user, token_id, before, until = row
    return Revocation(user=user, token_id=token_id, before=before, until=until)


async def append(hub: Hub, entry: dict[str, Json], wall: float) -> None:
    """Add `{"revoke": row}` or `{"restore": id}` with the time `wall`, in Unix seconds.

    Raises:
        BrokerUnavailable: it may not have been kept.
    """
    await Pending(
        resolved(hub.publish(LOG, orjson.dumps({**entry, "at": wall}), PublishOptions(KEEP)))
    )


async def replay(hub: Hub, revocations: Revocations, wall: float) -> None:
    """Apply the log, in its order.

    Raises:
        BrokerUnavailable: it could not be read.
    """
    entries: list[_Entry] = []
    position, more = None, True
    while more:
        page = await Pending(resolved(hub.broker.before(LOG, position, PAGE, KEEP)))
        entries += (entry for kept in reversed(page.frames) if (entry := _read(kept.payload)))
        more = page.more and bool(page.frames)
        position = page.frames[0].position if page.frames else None
    # Several servers may each have kept a part, in the right order; sorting by time merges the parts.
    entries.reverse()
    for entry in sorted(entries, key=itemgetter("at")):
        _apply(entry, revocations, wall)


def _read(payload: bytes) -> _Entry | None:
    try:
        entry = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return entry if _ENTRY.accepts(entry) else None


def _apply(entry: _Entry, revocations: Revocations, wall: float) -> None:
    if "restore" in entry:
        revocations.remove(entry["restore"])
        return
    try:
        revocations.add(from_row(entry["revoke"]), wall)
    except RevocationsFull:
        return

"""Server-sent events (HTML Standard, section 9.2): a session's frames as a stream that any HTTP client can read.

The answer waits until the session has accepted the client, so that a refusal is an HTTP status. After that each frame is an
event. A frame that advances the client's position carries it as `id`, which a browser's `EventSource` sends back as
`Last-Event-ID` when it reconnects. The client sends by POST (`call.py`): its frames arrive through `EventReader.post`.
"""

import secrets
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import attrs
import orjson

from channeld.engine.ports import Event
from channeld.engine.session import is_id
from channeld.protocol.codes import ErrorCode, may_come_back
from channeld.protocol.frames import Json, id_of
from channeld.protocol.places import LOST, Places
from channeld.protocol.reader import Closing, FrameReader, Stop
from channeld.server.exchange import Refuse, RequestHead, accepts, answer, refuse
from channeld.server.transports.transport import ConnectionSide, SessionSide, Terms, Wire
from channeld.server.transports.web import (
    EVENT_HEAD,
    judge_page,
    problem_of,
    query_names,
    query_of,
    web_fields,
)

ENDED: Final = "~ended"
"""The `id` of a stream's last event if it must not reconnect."""

# As the server writes them. A hook's frame with another order of keys advances no position, nor do these bytes within data.
_POSITION: Final = b'"pos":"'
# Bytes of frames whose events are cached: those of a few turns.
_KEPT: Final = 64 * 1024
# Bytes of answers after which a POST's other messages are put off. Redis ends a node's subscription that 32 MiB wait for.
_MOST_ANSWERED: Final = 1024 * 1024
# Positions of a room without a history, and of one whose missed frames are still arriving.
_NO_PLACE: Final = ""
_NOWHERE: Final[Mapping[str, str]] = MappingProxyType({})


@attrs.frozen(slots=True)
class _Event:
    """A frame as an event, the position that it advances, and the event for a client with no other position."""

    frame: bytes
    plain: bytes
    place: tuple[str, str] | None = None
    placed: bytes = b""

    @classmethod
    def of(cls, frame: bytes) -> "_Event":
        """Encode it."""
        plain, place = b"data: " + frame + b"\n\n", _place_of(frame)
        if place is None:
            return cls(frame, plain)
        room, position = place
        return cls(frame, plain, place, b"id: %b\n" % _text_of({room: position}) + plain)


class _SharedEvents:
    """Caches the newest frames' events, so that all members of a room share the same bytes."""

    def __init__(self) -> None:
        # By identity: no other frame can have the same `id` while this one is kept here.
        self._events: dict[int, _Event] = {}
        self._size = 0

    def known(self, frame: bytes) -> _Event | None:
        """The cached event of a frame, else None."""
        event = self._events.get(id(frame))
        return event if event is not None and event.frame is frame else None

    def keep(self, frame: bytes) -> _Event:
        """Encode a frame, and cache its event for the streams that get it next."""
        if self._size + len(frame) > _KEPT:
            self._events.clear()
            self._size = 0
        event = self._events[id(frame)] = _Event.of(frame)
        self._size += len(frame) + 100
        return event


class EventStream:
    """One client's stream: what it was sent before it was accepted, and its position in each room.

    Most streams are idle, in no room or one, so everything is created lazily.
    """

    __slots__ = ("_error", "_fields", "_held", "_inside", "_is_told", "_shared", "places", "secret")

    def __init__(
        self, fields: tuple[str, ...], shared: _SharedEvents, since: str | None = None
    ) -> None:
        self._fields = fields
        self._inside: tuple[str, ...] = ()
        self._shared = shared
        self._held: list[bytes] | None = []
        self._error: Mapping[str, Json] | None = None
        self._is_told = False
        # Where the client was. In rooms that it returns to, the missed frames advance it.
        came_from = Places.parse(since or "")
        self.places: Mapping[str, str] = _NOWHERE if came_from is None else dict(came_from.rooms)
        self.secret = secrets.token_urlsafe(16)

    @property
    def has_begun(self) -> bool:
        """Whether the answer has begun."""
        return self._held is None

    def encode(self, frame: bytes) -> bytes:
        """The event of a frame; empty before the stream has begun."""
        if self._held is not None and frame.startswith(b'{"type":"subscribed"'):
            # The client is accepted: missed frames may be large and must not wait here.
            return self.begin() + self.encode(frame)
        if self._held is not None:
            self._held.append(frame)
            if frame.startswith(b'{"type":"error"'):
                self._error = orjson.loads(frame)
            return b""
        event = self._shared.known(frame)
        if event is None:
            if self.track(frame):
                return self._with_place(frame)
            if frame.startswith(b'{"type":"disconnect"'):
                return self._farewell(frame)
            event = self._shared.keep(frame)
        if event.place is None:
            return event.plain
        self._move(*event.place)
        return event.placed if len(self.places) == 1 else self._with_place(frame)

    def begin(self) -> bytes:
        """The answer's head, the secret for the client's POSTs, and what it was sent meanwhile."""
        held, self._held = self._held or [], None
        head = "\r\n".join((*EVENT_HEAD, *self._fields, "Connection: close", "", "")).encode(
            "latin-1"
        )
        hello = orjson.dumps({"type": "connection", "id": self.secret})
        return b"".join((head, b"data: ", hello, b"\n\n", *map(self.encode, held)))

    def close(self, code: int, reason: str) -> tuple[int, bytes]:
        """The last words, and the HTTP status where the stream had not begun (else 0)."""
        if self._held is not None:
            # A hook's own code says whether to reconnect, which a 403 does not.
            return problem_of(code, reason, {**(self._error or {}), "close": code}, *self._fields)
        if self._is_told:
            return 0, b""
        frame = {
            "type": "disconnect",
            "code": code,
            "reason": reason,
            "reconnect": may_come_back(code),
        }
        return 0, self._farewell(orjson.dumps(frame))

    def track(self, frame: bytes) -> bool:
        """Track a room that was joined or left; returns whether the frame was about that."""
        if frame.startswith(b'{"type":"error"'):
            self._forget_refused(frame)
            return False
        if not frame.startswith((b'{"type":"subscribed"', b'{"type":"unsubscribed"')):
            return False
        told = orjson.loads(frame)
        room, position = told.get("room"), told.get("pos")
        if told["type"] == "unsubscribed":
            self._inside = tuple(one for one in self._inside if one != room)
            self._leave(room)
            return True
        room = sys.intern(room)  # the same text for all members
        if room not in self._inside:
            self._inside = (*self._inside, room)
        if not isinstance(position, str):
            self._move(room, _NO_PLACE)
        elif told.get("recovered") is not True:
            self._move(room, sys.intern(position))
        elif room not in self.places:
            # Missed frames follow with their own positions; a client that is cut off before gets a gap.
            self._move(room, LOST)
        return True

    def place(self) -> bytes:
        """An event with only the client's position, which browsers store (HTML Standard, section 9.2.6)."""
        return b"id: %b\n\n" % _text_of(self.places)

    def outside(self) -> dict[str, str]:
        """The rooms that the client was in and no longer is, with its position in each."""
        return {room: pos for room, pos in self.places.items() if room not in self._inside}

    def _forget_refused(self, frame: bytes) -> None:
        # A room that it returned to and may no longer be in; most streams have none.
        if len(self.places) > len(self._inside):
            self._leave(orjson.loads(frame).get("room"))

    def _move(self, room: str, position: str) -> None:
        if isinstance(self.places, dict):
            self.places[room] = position
        else:
            self.places = {room: position}

    def _leave(self, room: str) -> None:
        if isinstance(self.places, dict):
            self.places.pop(room, None)

    def _with_place(self, frame: bytes) -> bytes:
        return b"id: %b\ndata: %b\n\n" % (_text_of(self.places), frame)

    def _farewell(self, frame: bytes) -> bytes:
        self._is_told = True
        told = orjson.loads(frame)
        retry = told.get("retry_after")
        lines = [b"data: ", frame, b"\n\n"]
        if retry is not None:
            lines.insert(0, b"retry: %d\n" % round(retry * 1000))
        if not told["reconnect"] and _is_final(told["code"]):
            lines.insert(0, b"id: %b\n" % ENDED.encode())
        return b"".join(lines)


def _text_of(places: Mapping[str, str]) -> bytes:
    return Places(places).text().encode()


def _is_final(code: int) -> bool:
    return 4400 <= code < 4500 or 4950 <= code < 5000


def _place_of(frame: bytes) -> tuple[str, str] | None:
    """The room and position of a frame from a history, read from its bytes as the hub writes them, else None."""
    if _POSITION not in frame[-80:]:
        return None
    told = orjson.loads(frame)
    room, position = told.get("room"), told.get("pos")
    if not isinstance(room, str) or not isinstance(position, str):
        return None
    return sys.intern(room), position


@attrs.define(eq=False)
class _Posted:
    """Messages of one POST, where their answers go (None: to the stream), and what to call at the end.

    `size` is that of the answers, in bytes.
    """

    texts: deque[bytes]
    answers: list[bytes] | None = None
    done: Callable[[], object] = lambda: None
    size: int = 0

    def put_off(self) -> None:
        """Refuse the messages that are left: their answers might be too much for the response, and for the broker to pass on."""
        answers = [] if self.answers is None else self.answers
        for text in self.texts:
            refusal = {
                "type": "error",
                "code": ErrorCode.RATE_LIMITED,
                "message": "The answers to this POST are large; send the rest again",
                "retry_after": 1.0,
            }
            id = id_of(text)
            answers.append(orjson.dumps(refusal | {"id": id} if is_id(id) else refusal))
        self.texts.clear()


class EventReader:
    """Ignores what the client sends after its request; its messages arrive by POST, one POST after the other."""

    __slots__ = (
        "_connection", "_has_come_back", "_posted", "_session", "_stream", "close", "open",
        "pending",
    )  # fmt: skip

    def __init__(
        self, session: SessionSide, connection: ConnectionSide, stream: EventStream
    ) -> None:
        self._session, self._connection, self._stream = session, connection, stream
        self._has_come_back = False
        self._posted: deque[_Posted] | None = (
            None  # an empty one takes as much memory as the rest of the reader
        )
        self.open = True
        self.pending: Awaitable[None] | None = None
        self.close: Closing | None = None

    @property
    def secret(self) -> str:
        """The secret for the client's POSTs."""
        return self._stream.secret

    def come_back(self) -> bool:
        """Subscribe again to the earlier stream's rooms, each from the client's position in it.

        Returns:
            Whether it was the first call; later ones do nothing.
        """
        if self._has_come_back:
            return False
        self._has_come_back = True
        texts = [
            {"type": "subscribe", "room": room} | ({"since": position} if position else {})
            for room, position in self._stream.outside().items()
        ]
        if texts:
            self._take(_Posted(deque(map(orjson.dumps, texts))))
        return True

    def post(self, texts: list[bytes], answers: list[bytes], done: Callable[[], object]) -> None:
        """Take these messages in order, put their answers into `answers`, then call `done()`."""
        self._take(_Posted(deque(texts), answers, done))

    def _take(self, posted: _Posted) -> None:
        if self._posted is None:
            self._posted = deque()
        self._posted.append(posted)
        self._connection.take_posted()

    async def answers_to(self, texts: list[bytes], done: Event) -> list[bytes]:
        """The same, but wait for the answers and return them."""
        answers: list[bytes] = []
        self.post(texts, answers, done.set)
        await done.wait()
        return answers

    def feed(self, data: bytes, now: float, budget: int) -> Stop:
        """See FrameReader."""
        while self._posted:
            posted = self._posted[0]
            if posted.size > _MOST_ANSWERED:
                posted.put_off()
            if posted.texts and self.open:
                if budget <= 0:
                    return Stop.BUDGET
                budget -= 1
                session, is_again = self._session, posted.answers is None
                session.redirect(None if is_again else self._keep)
                receive = session.receive_again if is_again else session.receive
                self.pending = receive(posted.texts.popleft(), now)
                if self.pending is not None:
                    return Stop.PENDING
            else:
                self._posted.popleft()
                self._session.redirect(None)
                posted.done()
        self._posted = None
        return Stop.MORE

    def abandon(self) -> None:
        """End: those who wait get the answers so far."""
        posted, self._posted = self._posted, None
        for one in posted or ():
            one.done()

    def _keep(self, frame: bytes) -> None:
        if self._stream.track(frame):
            # The answer goes to the POST, and the stream itself would announce no position before its next frame.
            self._connection.respond(self._stream.place())
        posted = self._posted[0] if self._posted else None
        if posted is not None and posted.answers is not None:
            posted.answers.append(frame)
            posted.size += len(frame)


@attrs.frozen(slots=True)
class _Agreed:
    """A stream that begins when the session has accepted the client."""

    stream: EventStream
    since: str | None
    response: bytes = b""

    def open(
        self, receiver: SessionSide, responder: ConnectionSide, largest: int, rest: bytes
    ) -> Wire:
        """See Agreement."""
        reader = EventReader(receiver, responder, self.stream)
        return Wire(reader, self.stream.encode, self.stream)


@attrs.frozen(slots=True)
class ServerSentEvents:
    """The transport of `EventSource` and `curl -N`."""

    name: str = "sse"
    ping: bytes = b":\n\n"
    is_answered: bool = False
    _shared: _SharedEvents = attrs.field(factory=_SharedEvents)

    def is_asked(self, head: RequestHead) -> bool:
        """See Transport."""
        fields = head.fields
        return (
            head.method == "GET"
            and accepts(fields.get("accept", ""), "text/event-stream")
            and "websocket" not in fields.get("upgrade", "").lower()
            and not query_names(head.target) & {"offset", "live"}
        )

    def judge(self, head: RequestHead) -> Refuse | None:
        """See Transport."""
        fields = head.fields
        if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
            return refuse(400, "A request for events has no body")
        if (refusal := judge_page(head)) is not None:
            return refusal
        if fields.get("last-event-id") == ENDED:
            # HTML Standard, section 9.2.3: this status, and nothing else, ends an EventSource for good.
            detail = "The stream has ended for good"
            return Refuse(
                status=204,
                detail=detail,
                response=answer(204, b"", "", *web_fields(fields, is_listed=False)),
            )
        return None

    def accept(self, head: RequestHead, terms: Terms) -> _Agreed:
        """See Transport."""
        since = head.fields.get("last-event-id") or dict(query_of(head.target)).get("since")
        lines = web_fields(head.fields, is_listed=terms.lists_origins)
        return _Agreed(EventStream(lines, self._shared, since), since)

    def encode(self, frame: bytes) -> bytes:
        """See Transport. Streams encode for themselves."""
        return b"data: " + frame + b"\n\n"

    def close(self, code: int, reason: str) -> bytes:
        """See Transport. Streams close themselves."""
        return b""

    def succeed(self, reader: FrameReader) -> FrameReader:
        """See Transport."""
        return reader

    def boundary(self, data: bytes, start: int, offset: int) -> int:
        """See Transport."""
        return start if offset == start else data.index(b"\n\n", max(start, offset - 2)) + 2

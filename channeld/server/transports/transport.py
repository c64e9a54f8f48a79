"""What a transport is: how a request asks for it, how it is agreed on, and how frames travel then."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import attrs

from channeld.protocol.reader import FrameReader, Receive
from channeld.server.exchange import Refuse, RequestHead

Encode: TypeAlias = Callable[[bytes], bytes]
"""Frames one JSON object for the wire."""

Respond: TypeAlias = Callable[[bytes], None]
"""Queues bytes of the transport's own, such as a pong."""


class Stream(Protocol):
    """What a connection keeps of a transport that answers only when the session has let its client in."""

    @property
    def has_begun(self) -> bool:
        """Whether the answer is on its way."""

    def begin(self) -> bytes:
        """The client is let in: the answer, and what it was sent meanwhile."""

    def close(self, code: int, reason: str) -> tuple[int, bytes]:
        """The last words, and the HTTP status where they are the answer (else 0). Nothing is read after them."""


@attrs.frozen(slots=True)
class Wire:
    """One connection's two directions. `encode` is the transport's own, unless the two have agreed on another.

    With a `stream`, what is sent before it begins is encoded as nothing.
    """

    reader: FrameReader
    encode: Encode
    stream: Stream | None = None


@attrs.frozen(slots=True)
class Terms:
    """What the configuration says of transports: whether to compress, whether it lists the origins of pages, and what a channel speaks."""

    compress: bool = False
    lists_origins: bool = False
    subprotocols: tuple[str, ...] = ()


class Agreement(Protocol):
    """What transport and client have agreed on in the handshake."""

    @property
    def response(self) -> bytes:
        """The bytes that answer the request."""

    @property
    def since(self) -> str | None:
        """The place from which the client recovers, where its request says so outside of the query."""

    def open(self, receive: Receive, respond: Respond, largest: int, rest: bytes) -> Wire:
        """Begin to speak.

        Args:
            receive: takes each message.
            respond: queues what the reader answers by itself.
            largest: bytes that a message may have.
            rest: what came behind the request's head; read first.
        """


class Transport(Protocol):
    """One way to carry a session's frames. It has no state of its own: a row of `TRANSPORTS`."""

    @property
    def name(self) -> str:
        """Its name in metrics and in `server.transports`."""

    @property
    def ping(self) -> bytes:
        """What keeps an idle connection alive, and asks the client for a sign of life."""

    @property
    def is_answered(self) -> bool:
        """Whether a client that is there answers `ping`."""

    def is_asked(self, head: RequestHead) -> bool:
        """Whether a request asks for this transport."""

    def judge(self, head: RequestHead) -> Refuse | None:
        """What is wrong with a request that asks for it."""

    def accept(self, head: RequestHead, terms: Terms) -> Agreement:
        """Agree with a request that was judged good."""

    def encode(self, frame: bytes) -> bytes:
        """Frame one JSON object."""

    def close(self, code: int, reason: str) -> bytes:
        """The last words; none for a transport that has none."""

    def succeed(self, reader: FrameReader) -> FrameReader:
        """The reader that goes on: after Stop.UNUSUAL, and to await the client's close once ours is queued.

        The reader that is succeeded may be in the midst of `feed`. A successor never answers Stop.CLOSED.
        """

    def boundary(self, data: bytes, start: int, offset: int) -> int:
        """Where the frame ends that is partly sent when `offset` bytes of `data` are: `offset` itself between two.

        Frames begin at `start`, which is not after `offset`.
        """

"""The transport interface: how a request asks for it, how it is negotiated, and how frames travel."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import attrs

from channeld.protocol.reader import FrameReader, Receives, Responds
from channeld.server.exchange import Refuse, RequestHead

Encode: TypeAlias = Callable[[bytes], bytes]
"""Frames one JSON object for the wire."""

Respond: TypeAlias = Callable[[bytes], None]
"""Queues bytes of the transport's own, such as a pong."""


class SessionSide(Receives, Protocol):
    """The session, as transports use it."""

    def redirect(self, to: Callable[[bytes], None] | None, /) -> None:
        """Send answers here instead of to the peer, until called again."""

    def receive_again(self, text: bytes, now: float, /) -> Awaitable[None] | None:
        """As `receive`, for a frame that repeats an earlier request of a client that has reconnected."""


class ConnectionSide(Responds, Protocol):
    """The connection, as transports use it."""

    def take_posted(self) -> None:
        """Feed the reader soon, because messages were posted to its stream."""


class Stream(Protocol):
    """The state of a transport that answers only once the session has accepted its client."""

    @property
    def has_begun(self) -> bool:
        """Whether the answer is on its way."""

    def begin(self) -> bytes:
        """The client is accepted: returns the answer, and what it was sent meanwhile."""

    def close(self, code: int, reason: str) -> tuple[int, bytes]:
        """The closing bytes, and the HTTP status if they are the answer (else 0). Nothing is read after them."""


@attrs.frozen(slots=True)
class Wire:
    """One connection's two directions. `encode` is the transport's own, unless another was negotiated.

    With a `stream`, frames sent before it begins encode to nothing.
    """

    reader: FrameReader
    encode: Encode
    stream: Stream | None = None


@attrs.frozen(slots=True)
class Terms:
    """Configuration for transports: whether to compress, whether origins are listed, what a channel offers."""

    compress: bool = False
    lists_origins: bool = False
    subprotocols: tuple[str, ...] = ()


class Agreement(Protocol):
    """What transport and client agreed on in the handshake."""

    @property
    def response(self) -> bytes:
        """The bytes that answer the request."""

    @property
    def since(self) -> str | None:
        """The position from which the client recovers, if its request gives it outside of the query."""

    def open(
        self, receiver: SessionSide, responder: ConnectionSide, largest: int, rest: bytes
    ) -> Wire:
        """Start reading.

        Args:
            receiver: takes each message.
            responder: queues the reader's own answers.
            largest: maximum size of a message in bytes.
            rest: bytes received after the request's head; read first.
        """


class Transport(Protocol):
    """One way to carry a session's frames. It has no state of its own: a row of `TRANSPORTS`."""

    @property
    def name(self) -> str:
        """Its name in metrics and in `server.transports`."""

    @property
    def ping(self) -> bytes:
        """Keeps an idle connection alive, and asks the client for a sign of life."""

    @property
    def is_answered(self) -> bool:
        """Whether clients answer `ping`."""

    def is_asked(self, head: RequestHead) -> bool:
        """Whether a request asks for this transport."""

    def judge(self, head: RequestHead) -> Refuse | None:
        """What is wrong with a request that asks for it."""

    def accept(self, head: RequestHead, terms: Terms) -> Agreement:
        """Accept a request that `judge` has passed."""

    def encode(self, frame: bytes) -> bytes:
        """Frame one JSON object."""

    def close(self, code: int, reason: str) -> bytes:
        """The closing bytes; empty if the transport has none."""

    def succeed(self, reader: FrameReader) -> FrameReader:
        """The reader that takes over: after Stop.UNUSUAL, and to wait for the client's Close once ours is queued.

        The reader that is replaced may be in the middle of `feed`. A successor never returns Stop.CLOSED.
        """

    def boundary(self, data: bytes, start: int, offset: int) -> int:
        """Where the frame ends that `offset` falls into; `offset` itself if it is between two frames.

        Frames begin at `start`, which is not after `offset`.
        """

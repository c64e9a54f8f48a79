"""The WebSocket transport: its answer to a handshake, what it agrees on, and where its frames end.

What it refuses is shown in `tests/server/test_handshake.py`, its readers in `test_fallback.py` and
`tests/protocol/test_websocket.py`.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.protocol.reader import Stop
from channeld.protocol.websocket import Scanner, encode_text
from channeld.server.exchange import RequestHead
from channeld.server.head import read_head
from channeld.server.transports.fallback import FallbackReader
from channeld.server.transports.transport import Terms
from channeld.server.transports.websocket import WebSocket, WebSocketAgreement
from tests.server.kit import Heard, frame, request_bytes


def agreed(data: bytes, *, compress: bool = False) -> WebSocketAgreement:
    head = read_head(data)
    assert isinstance(head, RequestHead)
    transport = WebSocket()
    assert transport.is_asked(head)
    assert transport.judge(head) is None
    return transport.accept(head, Terms(compress))


def test_the_answer_is_that_of_the_rfc() -> None:
    assert agreed(request_bytes()).response == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )


def test_the_subprotocol_is_named_and_a_token_never_is() -> None:
    agreement = agreed(request_bytes("/echo", "Sec-WebSocket-Protocol: bearer.SECRET, channeld"))
    assert b"Sec-WebSocket-Protocol: channeld\r\n" in agreement.response
    assert b"SECRET" not in agreement.response


def test_another_subprotocol_is_not_answered() -> None:
    agreement = agreed(request_bytes("/echo", "Sec-WebSocket-Protocol: graphql-ws"))
    assert b"Protocol:" not in agreement.response


def test_compression_is_negotiated_only_when_it_is_on() -> None:
    data = request_bytes("/echo", "Sec-WebSocket-Extensions: permessage-deflate")
    assert agreed(data).deflate is None
    agreement = agreed(data, compress=True)
    assert agreement.deflate is not None
    assert b"Sec-WebSocket-Extensions: permessage-deflate; " in agreement.response


def test_what_came_behind_the_head_is_read_first() -> None:
    heard = Heard()
    wire = agreed(request_bytes()).open(heard, heard, 100, frame(b"a"))
    assert wire.reader.feed(frame(b"b"), 0.0, 10) is Stop.MORE
    assert heard.messages == [b"a", b"b"]
    assert wire.encode(b"{}") == b"\x81\x02{}"


def test_who_compresses_is_read_by_the_fallback_reader_from_the_start() -> None:
    agreement = agreed(
        request_bytes("/echo", "Sec-WebSocket-Extensions: permessage-deflate"), compress=True
    )
    wire = agreement.open(Heard(), Heard(), 100, b"")
    assert isinstance(wire.reader, FallbackReader)
    assert wire.encode(b"{}")[0] == 0xC1


def test_a_scanner_is_succeeded_once() -> None:
    transport = WebSocket()
    successor = transport.succeed(Scanner(Heard(), Heard(), 100))
    assert isinstance(successor, FallbackReader)
    assert transport.succeed(successor) is successor


@given(st.lists(st.integers(0, 70000), min_size=1, max_size=5), st.data())
@settings(max_examples=40)
def test_the_boundary_is_that_of_a_frame(sizes: list[int], data: st.DataObject) -> None:
    frames = [encode_text(bytes(size)) for size in sizes]
    ends = [sum(map(len, frames[:n])) for n in range(len(frames) + 1)]
    offset = data.draw(st.integers(0, ends[-1]))
    assert WebSocket().boundary(b"".join(frames), 0, offset) == min(
        end for end in ends if end >= offset
    )

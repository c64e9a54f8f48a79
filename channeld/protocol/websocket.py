"""RFC 6455 as bytes in, messages out: what lane, portable path, tests and fuzzers share. Knows no socket.

In this module and in `server/` a "WebSocket frame" is the wire unit of the RFC; elsewhere a frame is the JSON object.
"""

__all__ = ["encode_close", "encode_text", "payload_of"]

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A


def encode_text(payload: bytes, first: int = TEXT) -> bytes:
    """A server's WebSocket frame (section 5.2: FIN, unmasked). Made once, sent to any number of connections."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def encode_close(code: int, reason: str = "") -> bytes:
    """A Close frame (section 5.5.1); the reason is cut to the 123 bytes that fit, at a character's end."""
    return encode_text(
        code.to_bytes(2, "big") + reason.encode()[:123].decode(errors="ignore").encode(), CLOSE
    )


def payload_of(frame: bytes) -> bytes:
    """The payload of a WebSocket frame that `encode_text` made."""
    size = frame[1]
    return frame[2:] if size < 126 else frame[4:] if size == 126 else frame[10:]

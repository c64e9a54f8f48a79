"""Negotiates permessage-deflate (RFC 7692 section 7.1): which offer is accepted, and with which parameters."""

import re

import attrs

# A window of 4 KiB takes a fraction of the default's memory and, for short JSON, compresses nearly as well.
WINDOW_BITS = 12

_NAME = "permessage-deflate"
_PARAMETER = re.compile(r'([a-z_]+)(?:[ \t]*=[ \t]*(?:([1-9][0-9]?)|"([1-9][0-9]?)"))?')


@attrs.frozen(slots=True, kw_only=True)
class Deflate:
    """Accepted parameters. A window is a number of bits; the client's is None if it did not offer to limit it."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = WINDOW_BITS
    client_max_window_bits: int | None = None

    def field(self) -> str:
        """The Sec-WebSocket-Extensions value of the answer."""
        parts = [_NAME, f"server_max_window_bits={self.server_max_window_bits}"]
        if self.client_max_window_bits is not None:
            parts.append(f"client_max_window_bits={self.client_max_window_bits}")
        if self.server_no_context_takeover:
            parts.append("server_no_context_takeover")
        if self.client_no_context_takeover:
            parts.append("client_no_context_takeover")
        return "; ".join(parts)


def negotiate(offers: str) -> Deflate | None:
    """The first acceptable offer of a Sec-WebSocket-Extensions field, or None. Other extensions are declined."""
    for offer in offers.split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        if name == _NAME:
            accepted = _accept(parameters)
            if accepted is not None:
                return accepted
    return None


def _accept(parameters: list[str]) -> Deflate | None:
    values: dict[str, int | None] = {}
    for parameter in parameters:
        match = _PARAMETER.fullmatch(parameter)
        # Section 7.1: an offer with an unknown, repeated or invalid parameter must be declined.
        if match is None or match[1] in values:
            return None
        value = match[2] or match[3]
        values[match[1]] = int(value) if value else None
    server_off = values.pop("server_no_context_takeover", 0)
    client_off = values.pop("client_no_context_takeover", 0)
    server_bits = values.pop("server_max_window_bits", WINDOW_BITS)
    bounds_client = "client_max_window_bits" in values
    client_bits = values.pop("client_max_window_bits", None) or WINDOW_BITS
    if values or server_off or client_off or server_bits is None:
        return None
    # zlib cannot make a raw stream with a window of 8 bits; a client may use one, any inflater reads it.
    if not 9 <= server_bits <= 15 or not 8 <= client_bits <= 15:
        return None
    return Deflate(
        server_no_context_takeover=server_off is None,
        client_no_context_takeover=client_off is None,
        server_max_window_bits=min(server_bits, WINDOW_BITS),
        client_max_window_bits=min(client_bits, WINDOW_BITS) if bounds_client else None,
    )

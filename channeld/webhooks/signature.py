"""The signature that webhooks had before Standard Webhooks; sent next to that one until version 2 of the language."""

import hashlib
import hmac
from typing import Final

HEADER: Final = "Channeld-Signature"


def sign(secret: str, moment: int, body: bytes) -> str:
    """The header's value, `t=MOMENT,v1=HEX`: HMAC-SHA256 (RFC 2104) of the moment, a dot and the body.

    Args:
        secret: the key, as UTF-8.
        moment: whole seconds since the Unix epoch; it is signed, so an old request cannot be replayed as a new one.
        body: the request's.
    """
    digest = hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"

"""Signed requests, as Standard Webhooks (https://www.standardwebhooks.com/) define them: version `v1`, HMAC-SHA256.

Hooks over HTTP and webhooks share it, so a backend verifies both with one library.
"""

import base64
import hmac

_PREFIX = "whsec_"


def signing_key(secret: str) -> bytes:
    """The key of a secret: base64 after `whsec_`, or the text itself as UTF-8.

    Raises:
        ValueError: what follows `whsec_` is not base64.
    """
    plain = secret.removeprefix(_PREFIX)
    if plain == secret:
        return secret.encode("utf-8", "surrogatepass")
    return base64.b64decode(plain, validate=True)


def signature(secret: str, id: str, moment: int, body: bytes) -> str:
    """The `webhook-signature` of a request: `v1,` and base64 of HMAC-SHA256 over id, timestamp and body.

    Args:
        secret: as `signing_key` takes it.
        id: the `webhook-id`.
        moment: the `webhook-timestamp`, whole seconds since the Unix epoch.
        body: the request's.
    """
    signed = f"{id}.{moment}.".encode() + body
    digest = hmac.digest(signing_key(secret), signed, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def signed_headers(secret: str, id: str, moment: int, body: bytes) -> list[tuple[str, str]]:
    """The three headers of a signed request; the arguments are those of `signature`."""
    return [
        ("webhook-id", id),
        ("webhook-timestamp", str(moment)),
        ("webhook-signature", signature(secret, id, moment, body)),
    ]

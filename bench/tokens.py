"""Writes the URLs of channeld's authenticated connections: one user and one HS256 JWT each, and how many share a room."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path

SECRET = "only-for-the-bench-" + "0123456789abcdef" * 2
USERS = 20_000
LIFETIME = 24 * 3600


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(user: str, expires: int) -> str:
    """An HS256 JWT for `user`, signed with the bench's secret."""
    head = encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = encoded(json.dumps({"sub": user, "exp": expires}).encode())
    signature = hmac.digest(SECRET.encode(), f"{head}.{body}".encode(), hashlib.sha256)
    return f"{head}.{body}.{encoded(signature)}"


def secure_paths(target: Path, channel: str, users_per_room: int) -> Path:
    """Writes one path a line, unless the file is from the last half day; returns the file."""
    if target.exists() and time.time() - target.stat().st_mtime < LIFETIME / 2:
        return target
    expires = int(time.time()) + LIFETIME
    target.parent.mkdir(exist_ok=True)
    target.write_text(
        "".join(
            f"/{channel}/r{n // users_per_room}?token={token(f'user-{n}', expires)}\n"
            for n in range(USERS)
        )
    )
    return target

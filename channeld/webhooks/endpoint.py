"""One webhook's HTTP endpoint: sends a POST, and reads as much of the answer as is needed.

Redirects are not followed, cookies are not kept, and at most 64 KiB of the answer's body are read and discarded.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import attrs
import trio

from channeld import __version__
from channeld.config.scalars import is_loopback
from channeld.groups import words_of

if TYPE_CHECKING:
    import httpx2

BODY_LIMIT: Final = 64 * 1024


@attrs.frozen(slots=True, kw_only=True)
class Reply:
    """The result of a request. `status` is None if there was no answer, and `reason` says why."""

    status: int | None = None
    retry_after: str | None = None
    reason: str = ""


class Endpoint:
    """An async context manager; requests only inside.

    Args:
        url: https, or http on a loopback address.

    Raises:
        ValueError: the URL is neither.
    """

    def __init__(self, url: str) -> None:
        host = urlsplit(url).hostname or ""
        is_local = is_loopback(host)
        if not host or (urlsplit(url).scheme != "https" and not is_local):
            raise ValueError("a webhook has an https URL, or http on a loopback address")
        import httpx2  # noqa: PLC0415 - 80 ms and 20 MiB that most configurations do not need

        # Use the environment's proxy, but not for this machine itself.
        self._client = httpx2.AsyncClient(
            follow_redirects=False,
            trust_env=not is_local,
            timeout=None,  # the sender's own covers all of it
            limits=httpx2.Limits(max_connections=1, keepalive_expiry=15),
            headers={"User-Agent": f"channeld/{__version__}", "Accept-Encoding": "identity"},
        )
        self._url = url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def post(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send one request. Never raises; the caller limits the time."""
        try:
            request = self._client.build_request(
                "POST", self._url, headers=dict(headers), content=body
            )
            answer = await self._client.send(request, stream=True)
            try:
                await self._skip(answer)
            finally:
                await answer.aclose()
        except Exception as error:  # the network may raise anything; each is a reason to try again
            return Reply(reason=words_of(error))
        self._client.cookies.clear()
        return Reply(
            status=answer.status_code,
            retry_after=answer.headers.get("retry-after"),
            reason=f"the answer was HTTP {answer.status_code}",
        )

    async def _skip(self, answer: "httpx2.Response") -> None:
        # If the body is read to its end, the connection can be reused. Cancelled rather than left: httpx2's nested
        # generators are finished from the inside then, not by the garbage collector.
        size = 0
        with trio.CancelScope() as too_long:
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > BODY_LIMIT:
                    too_long.cancel()

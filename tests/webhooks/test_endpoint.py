import socket

import pytest
import trio

from channeld.webhooks.endpoint import BODY_LIMIT, Endpoint, Reply
from tests.webhooks.kit import backend, plain


async def post(url: str) -> Reply:
    async with Endpoint(url) as endpoint:
        with trio.fail_after(60):
            return await endpoint.post({"X-Note": "hi"}, b"{}")


async def test_a_request_is_a_post_with_its_headers() -> None:
    async with backend() as there:
        assert await post(there.url) == Reply(status=204, reason="the answer was HTTP 204")
    [told] = there.requests
    assert (told.headers["x-note"], told.body) == ("hi", b"{}")
    assert told.headers["user-agent"].startswith("channeld/")


async def test_a_redirect_is_not_followed() -> None:
    async with backend(plain(307, "Location: /elsewhere\r\n")) as there:
        assert (await post(there.url)).status == 307
    assert len(there.requests) == 1


async def test_retry_after_is_handed_on() -> None:
    async with backend(plain(503, "Retry-After: 7\r\n")) as there:
        assert (await post(there.url)).retry_after == "7"


async def test_where_nobody_listens_there_is_a_reason() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        reply = await post(f"http://127.0.0.1:{free.getsockname()[1]}")
    assert reply.status is None
    assert reply.reason


async def test_a_connection_that_is_cut_is_a_reason() -> None:
    async with backend("cut") as there:
        assert (await post(there.url)).status is None


async def test_an_answer_that_is_none_is_a_reason() -> None:
    async with backend(b"SSH-2.0-nonsense\r\n\r\n") as there:
        assert (await post(there.url)).status is None


async def test_a_long_answer_is_not_read_to_its_end() -> None:
    # More is promised than ever comes: anyone who reads it all would wait for ever.
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
    async with backend(head + b"x" * (BODY_LIMIT + 1)) as there:
        assert (await post(there.url)).status == 200


async def test_requests_share_a_connection() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\nok"
    async with backend(answer, answer) as there, Endpoint(there.url) as endpoint:
        assert [(await endpoint.post({}, b"{}")).status for _ in range(3)] == [200, 200, 204]
    assert there.connections == 1
    assert [told.headers.get("cookie") for told in there.requests] == [None] * 3


@pytest.mark.parametrize("url", ["http://a.example/", "https:///told", "ftp://127.0.0.1x/"])
def test_only_https_leaves_this_machine(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        Endpoint(url)

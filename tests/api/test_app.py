import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from channeld.api.app import LARGEST_BODY, make_app
from channeld.api.control import Console
from channeld.broker.broker import BrokerUnavailable
from tests.api.conftest import KEY, YAML, Start

PUBLISH = {"channel": "lobby", "to": "global", "event": {"type": "note", "text": "hi"}}
JSON = {"content-type": "application/json"}


def is_problem(response: httpx2.Response, status: int) -> bool:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    return {"type", "title", "status", "detail"} <= set(told) and told["status"] == status


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer nonsense", f"Basic {KEY}", f"Bearer {KEY}x", "Bearer ü€"]
)
async def test_without_a_good_key_nothing_is_told(api: Start, header: str | None) -> None:
    async with api() as it:
        del it.http.headers["authorization"]
        headers = {} if header is None else {b"authorization": header.encode()}
        for path in ("/v1/channels", "/openapi.json", "/nowhere", "/console/setup"):
            response = await it.http.get(path, headers=headers)
            assert is_problem(response, 401)
            assert response.headers["www-authenticate"].startswith("Bearer")
        answered = await it.http.post("/v1/publish", json=PUBLISH, headers=headers)
        assert answered.status_code == 401


async def test_two_authorizations_are_none(api: Start) -> None:
    async with api() as it:
        both = [("authorization", f"Bearer {KEY}"), ("authorization", "Bearer x")]
        del it.http.headers["authorization"]
        assert (await it.http.get("/v1/channels", headers=both)).status_code == 401


async def test_every_key_opens_and_a_reload_takes_one_away(api: Start) -> None:
    async with api() as it:
        other = {"authorization": "Bearer another-key-of-thirty-two-chars-x"}
        assert (await it.http.get("/v1/channels", headers=other)).status_code == 200
        object.__setattr__(it.app.engine.plan.config.api, "keys", ())
        assert (await it.http.get("/v1/channels")).status_code == 401


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/"])
async def test_some_things_need_no_key(api: Start, path: str) -> None:
    async with api() as it:
        del it.http.headers["authorization"]
        assert (await it.http.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/channels", "/metrics", "/health/live", "/", "/nowhere"])
async def test_pages_of_other_sites_are_refused(api: Start, path: str) -> None:
    async with api() as it:
        response = await it.http.get(path, headers={"origin": "https://evil.example"})
        assert is_problem(response, 403)
        assert "access-control-allow-origin" not in response.headers


async def test_a_preflight_is_refused_and_the_console_s_own_origin_passes(api: Start) -> None:
    async with api() as it:
        asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        assert (await it.http.options("/v1/publish", headers=asked)).status_code == 403
        own = {"origin": "http://localhost:4001"}
        assert (await it.http.post("/v1/publish", json=PUBLISH, headers=own)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/publish", "POST"),
        ("DELETE", "/v1/channels", "GET, HEAD"),
        ("OPTIONS", "/v1/channels", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
    ],
)
async def test_another_method_is_told_the_right_one(
    api: Start, method: str, path: str, allow: str
) -> None:
    async with api() as it:
        response = await it.http.request(method, path)
        assert is_problem(response, 405)
        assert response.headers["allow"] == allow


async def test_head_is_a_get_without_a_body(api: Start) -> None:
    async with api() as it:
        assert (await it.http.head("/v1/channels")).status_code == 200


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/channels/", "//v1/channels", "/x"])
async def test_unknown_paths(api: Start, path: str) -> None:
    async with api() as it:
        assert is_problem(await it.http.get(f"http://localhost:4001{path}"), 404)


@pytest.mark.parametrize("path", ["/v1/%ff", "/v1/channels/%zz", "/v1/channels?limit=%"])
async def test_what_is_not_percent_encoded_utf8(api: Start, path: str) -> None:
    async with api() as it:
        url = httpx2.URL("http://localhost:4001", raw_path=path.encode())
        assert is_problem(await it.http.get(url), 400)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json+x", 415),
    ],
)
async def test_only_json_is_taken(api: Start, kind: str, status: int) -> None:
    async with api() as it:
        body = json.dumps(PUBLISH).encode()
        response = await it.http.post("/v1/publish", content=body, headers={"content-type": kind})
        assert response.status_code == status


async def test_a_body_with_a_coding_is_not_taken(api: Start) -> None:
    async with api() as it:
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        body = gzip.compress(json.dumps(PUBLISH).encode())
        refused = await it.http.post("/v1/publish", content=body, headers=headers)
        assert is_problem(refused, 415)
        assert refused.headers["accept-encoding"] == "identity"


async def test_a_body_without_a_type_is_not_taken(api: Start) -> None:
    async with api() as it:
        assert is_problem(await it.http.post("/v1/publish", content=b"{}"), 415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b"{} {}",
        b'1,"type":"x"',
        b'{"channel":"lobby","to":"global","event":{"type":"note","n":99999999999999999999}}',
        b'{"event":' + b"[" * 150 + b"]" * 150 + b"}",
        b"[" * 100_000,
        b"[]",
        b"null",
    ],
)
async def test_what_is_not_the_right_json_is_400(api: Start, body: bytes) -> None:
    async with api() as it:
        assert is_problem(await it.http.post("/v1/publish", content=body, headers=JSON), 400)


async def test_a_body_that_says_it_is_too_large_is_not_read(api: Start) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 5_000_000:
            read += 50_000
            yield b" " * 50_000

    async with api() as it:
        headers = {**JSON, "content-length": "5000000"}
        response = await it.http.post("/v1/publish", content=body(), headers=headers)
        assert is_problem(response, 413)
        assert read == 0


async def test_a_body_that_becomes_too_large_is_left(api: Start) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 50_000
            yield b" " * 50_000

    async with api() as it:
        response = await it.http.post("/v1/publish", content=body(), headers=JSON)
        assert is_problem(response, 413)
        assert read <= LARGEST_BODY + 50_000


async def test_the_largest_body_passes(api: Start) -> None:
    async with api() as it:
        text = json.dumps({**PUBLISH, "x": 1}).encode()
        content = text.ljust(LARGEST_BODY)
        response = await it.http.post("/v1/publish", content=content, headers=JSON)
        assert response.status_code == 400  # `x`, not its size
        response = await it.http.post("/v1/publish", content=content + b" ", headers=JSON)
        assert response.status_code == 413


async def test_a_bug_is_contained_and_its_ref_is_in_the_log(
    api: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with api() as it:

        def fail(*_: object) -> None:
            raise ZeroDivisionError("a secret of ours")

        monkeypatch.setattr(it.app.engine, "publish", fail)
        response = await it.http.post("/v1/publish", json=PUBLISH)
        assert is_problem(response, 500)
        assert "secret" not in response.text
        assert response.json()["ref"] in capsys.readouterr().err


async def test_while_the_broker_is_away_answers_say_when_to_come_back(
    api: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with api() as it:

        def fail(*_: object, **__: object) -> None:
            raise BrokerUnavailable(2.4)

        monkeypatch.setattr(it.app.cluster, "_everywhere", fail)
        response = await it.http.get("/v1/channels")
        assert is_problem(response, 503)
        assert response.headers["retry-after"] == "2"


async def test_refusals_are_logged_without_the_key(
    api: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with api() as it:
        wrong = {"authorization": "Bearer this-is-wrong-but-may-be-close-to-right"}
        await it.http.get("/v1/channels", headers=wrong)
        lines = [line for line in capsys.readouterr().err.splitlines() if "api_refused" in line]
        assert len(lines) == 1
        assert "close-to-right" not in lines[0]


async def test_of_many_wrong_keys_the_log_tells_the_first(
    api: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with api() as it:
        wrong = {"authorization": "Bearer this-is-no-key-of-this-server-at-all"}
        for _ in range(20):
            assert is_problem(await it.http.get("/v1/channels", headers=wrong), 401)
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [(line["status"], line["reason"]) for line in lines] == [(401, "key")]
        assert (await it.http.get("/v1/channels")).status_code == 200


async def test_nothing_of_it_is_cached(api: Start) -> None:
    async with api() as it:
        for path in ("/v1/channels", "/nowhere", "/metrics"):
            assert (await it.http.get(path)).headers["cache-control"] == "no-store"


async def test_other_protocols_are_not_served(api: Start) -> None:
    async with api() as it:

        async def nothing(*_: Any) -> Any:
            raise AssertionError

        with pytest.raises(ValueError, match="websocket"):
            await make_app(it.control)({"type": "websocket"}, nothing, nothing)


async def test_a_client_that_left_is_not_answered(api: Start) -> None:
    async with api() as it:
        sent: list[Any] = []

        async def gone() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        key = (b"authorization", f"Bearer {KEY}".encode())
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/publish",
            "raw_path": b"/v1/publish",
            "query_string": b"",
            "headers": [key, (b"content-type", b"application/json")],
            "client": None,
        }
        await make_app(it.control)(scope, gone, send)
        assert sent == []


async def test_the_console_is_described_by_the_maker_of_the_control(api: Start) -> None:
    async with api(YAML, console=Console(describe=lambda plan: [len(plan.channels)])) as it:
        assert (await it.get("/console/setup"))["channels"] == [3]


async def test_metrics_of_a_public_name_need_a_key(api: Start) -> None:
    async with api() as it:
        page = {"host": "rebound.example.com"}
        answer = await it.http.get("/metrics", headers={**page, "authorization": ""})
        assert answer.status_code == 401
        answer = await it.http.get("/metrics", headers={**page, "authorization": f"Bearer {KEY}"})
        assert answer.status_code == 200
        answer = await it.http.get("/health/live", headers={**page, "authorization": ""})
        assert answer.status_code == 200


async def test_a_misspelt_channel_lists_the_declared_ones(api: Start) -> None:
    async with api() as it:
        answer = await it.http.get("/v1/channels/rom")
        assert answer.status_code == 404
        assert answer.json()["detail"] == (
            "there is no such channel; did you mean `room`? (declared: `lobby`, `room`, `feed`)"
        )

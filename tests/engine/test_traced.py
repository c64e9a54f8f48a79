"""A conversation as spans: who is whose parent, what they say, and what they never say."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from trio_websocket import WebSocketConnection, open_websocket

from channeld.app import App
from channeld.plan.load import load_plan
from channeld.server.otel import tracing_from
from channeld.server.sockets import bind

CHANNELS = """
channeld: 1
channels:
  room:
    path: /room
    auth: none
    rooms: a
    messages:
      say: {schema: {type: object, properties: {text: {type: string, x-sensitive: true}}, additionalProperties: false}, route: room}
      asked: {schema: true, hook: "hooks:asked", route: room}
      threaded: {schema: true, hook: {call: "hooks:threaded", thread: true}, route: sender}
      bad: {schema: true, hook: "hooks:bad", route: sender}
"""
HOOKS = """
import trio
from opentelemetry import trace

SEEN = []

async def asked(ctx, message):
    await trio.lowlevel.checkpoint()
    SEEN.append(trace.get_current_span().get_span_context())

def threaded(ctx, message):
    SEEN.append(trace.get_current_span().get_span_context())

def bad(ctx, message):
    raise ValueError("a secret")
"""
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Traced:
    """A server on a port, and its spans."""

    def __init__(self, app: App, port: int, exporter: InMemorySpanExporter) -> None:
        self.app, self.port, self._exporter = app, port, exporter

    def connect(
        self, *headers: tuple[str, str]
    ) -> AbstractAsyncContextManager[WebSocketConnection]:
        return open_websocket(
            "127.0.0.1",
            self.port,
            "/room",
            use_ssl=False,
            extra_headers=[(n, v.encode()) for n, v in headers],  # type: ignore[misc]
        )

    def spans(self) -> dict[str, ReadableSpan]:
        assert self.app._spans is not None
        self.app._spans.flush()
        found = {span.name: span for span in self._exporter.get_finished_spans()}
        self._exporter.clear()
        return found


Serve = Callable[[], AbstractAsyncContextManager[Traced]]


@pytest.fixture
def serve_traced(tmp_path: Path) -> Serve:
    @asynccontextmanager
    async def serving() -> AsyncIterator[Traced]:
        (tmp_path / "channels.yaml").write_text(CHANNELS)
        (tmp_path / "hooks.py").write_text(HOOKS)
        plan = load_plan(str(tmp_path / "channels.yaml"), {})
        exporter = InMemorySpanExporter()
        ready = trio.Event()
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
        app = App(plan, on_ready=lambda _: ready.set(), traced=tracing_from(environ, exporter))
        [sock] = bind(["127.0.0.1:0"])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(app.run, [sock])
            await ready.wait()
            yield Traced(app, sock.getsockname()[1], exporter)
            app.stop()

    return serving


async def ask(client: WebSocketConnection, **frame: Any) -> dict[str, Any]:
    await client.send_message(json.dumps({**frame, "id": 1}))
    while True:
        answer: dict[str, Any] = json.loads(await client.get_message())
        if answer.get("id") == 1:
            return answer


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def context_of(span: ReadableSpan) -> trace.SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def id_of(span: ReadableSpan) -> int:
    return context_of(span).span_id


async def test_a_message_its_publication_and_its_delivery(serve_traced: Serve) -> None:
    async with serve_traced() as served, served.connect() as client:
        assert (await ask(client, type="say", text="my secret"))["type"] == "ack"
        spans = served.spans()
        message, publish, deliver = (spans[n] for n in ("message say", "publish", "deliver"))
        assert parent_of(message) is None
        assert (parent_of(publish), parent_of(deliver)) == (id_of(message), id_of(publish))
        assert message.links[0].context.span_id == id_of(spans["handshake"])
        assert message.attributes is not None
        assert deliver.attributes is not None
        assert message.attributes["channeld.message"] == "say"
        assert deliver.attributes["channeld.recipients"] == 1
        assert "secret" not in repr([span.to_json() for span in spans.values()])


async def test_the_context_of_the_handshake_and_of_a_frame(serve_traced: Serve) -> None:
    async with serve_traced() as served, served.connect(("traceparent", CALLER)) as client:
        # The field is taken out: the schema allows no other.
        assert (await ask(client, type="say", traceparent=CALLER))["type"] == "ack"
        spans = served.spans()
        for name in ("handshake", "message say"):
            assert parent_of(spans[name]) == 0xB7AD6B7169203331
            assert context_of(spans[name]).trace_id == 0x0AF7651916CD43DD8448EB211C80319C


@pytest.mark.parametrize("kind", ["asked", "threaded"])
async def test_a_hook_runs_within_its_span(serve_traced: Serve, kind: str) -> None:
    async with serve_traced() as served, served.connect() as client:
        assert (await ask(client, type=kind))["type"] == "ack"
        spans = served.spans()
        hook = spans[f"hook hooks:{kind}"]
        assert parent_of(hook) == id_of(spans[f"message {kind}"])
        plan = served.app.engine.plan.channels["room"].messages[kind].hook
        assert plan is not None
        seen = plan.call.__globals__["SEEN"].pop()
        assert (seen.trace_id, seen.span_id) == (context_of(hook).trace_id, id_of(hook))
        if kind == "asked":
            # The message had to wait for its hook, and its publication still belongs to it.
            assert parent_of(spans["publish"]) == id_of(spans["message asked"])
    assert not trace.get_current_span().get_span_context().is_valid


async def test_what_went_wrong_is_said_by_its_code(serve_traced: Serve) -> None:
    async with serve_traced() as served, served.connect() as client:
        assert (await ask(client, type="say", more=1))["code"] == "INVALID_MESSAGE"
        assert served.spans()["message say"].status.description == "INVALID_MESSAGE"
        assert (await ask(client, type="bad"))["code"] == "INTERNAL_ERROR"
        spans = served.spans()
        assert spans["message bad"].status.description == "INTERNAL_ERROR"
        assert spans["hook hooks:bad"].status.description == "HookFailed"
        assert "a secret" not in repr([span.to_json() for span in spans.values()])

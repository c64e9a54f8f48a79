"""Spans on their way to OpenTelemetry: translated, batched, bounded, and sent to a receiver of the test's own."""

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from channeld.server.otel import MOST, Spans, tracing_from
from channeld.telemetry.tracing import attached

ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@contextmanager
def receiver() -> Iterator[tuple[str, list[Any]]]:
    """A collector: its endpoint, and the spans that it got."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    got.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        server.server_close()


def test_without_an_endpoint_it_is_off() -> None:
    assert tracing_from({}) is None
    assert tracing_from({**ON, "OTEL_SDK_DISABLED": "true"}) is None
    assert tracing_from({**ON, "OTEL_TRACES_EXPORTER": "none"}) is None


def test_nothing_of_it_is_imported_while_it_is_off() -> None:
    code = (
        "import sys, channeld.cli.run, channeld.app, channeld.api.app\n"
        "from channeld.server.otel import tracing_from\n"
        "assert tracing_from({}) is None\n"
        "print([one for one in sys.modules if one.startswith(('opentelemetry', 'google.protobuf'))])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_what_is_not_installed_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("channeld.server.otel.find_spec", lambda _name: None)
    assert tracing_from(ON) is None
    assert "channeld[otel]" in capsys.readouterr().err


def test_spans_become_those_of_opentelemetry() -> None:
    exporter = InMemorySpanExporter()
    traced = tracing_from({**ON, "OTEL_SERVICE_NAME": "chat"}, exporter)
    assert traced is not None
    tracing, spans = traced
    first = tracing.receive("handshake", None, {})
    assert first is not None
    root = tracing.receive(
        "message say", None, {"channeld.channel": "room"}, (first.trace, first.id)
    )
    with attached(root):
        tracing.end(tracing.child("publish", {}, "producer"))
    tracing.end(root, "FORBIDDEN")
    spans.flush()
    publish, message = exporter.get_finished_spans()
    assert publish.parent is not None
    context = message.get_span_context()
    assert context is not None
    assert publish.parent.span_id == context.span_id
    assert publish.kind.name == "PRODUCER"
    assert message.parent is None
    assert message.status.description == "FORBIDDEN"
    assert message.links[0].context.span_id == first.id
    assert message.resource.attributes["service.name"] == "chat"
    assert dict(message.attributes or {}) == {"channeld.channel": "room"}
    assert message.end_time is not None
    assert message.start_time is not None
    assert message.end_time >= message.start_time


@pytest.mark.parametrize(
    ("sampler", "arg", "recorded"),
    [
        ("always_off", "", False),
        ("parentbased_always_off", "", False),
        ("traceidratio", "0", False),
        ("parentbased_traceidratio", "1", True),
        ("parentbased_traceidratio", "nonsense", True),
        ("", "", True),
    ],
)
def test_the_sampler_is_the_environments(sampler: str, arg: str, recorded: bool) -> None:
    environ = {**ON, "OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": arg}
    traced = tracing_from(environ, InMemorySpanExporter())
    assert traced is not None
    assert (traced[0].receive("x", None, {}) is not None) is recorded


class Broken:
    def export(self, spans: Sequence[object]) -> None:
        raise OSError("no way out")

    def shutdown(self) -> None:
        pass


def test_an_exporter_that_raises_costs_its_spans_only(capsys: pytest.CaptureFixture[str]) -> None:
    traced = tracing_from(ON, Broken())
    assert traced is not None
    tracing, spans = traced
    tracing.end(tracing.receive("x", None, {}))
    spans.flush()
    assert spans.dropped == 1
    assert "spans_lost" in capsys.readouterr().err


def test_what_waits_is_bounded() -> None:
    traced = tracing_from(ON, InMemorySpanExporter())
    assert traced is not None
    tracing, spans = traced
    for _ in range(MOST + 5):
        tracing.end(tracing.receive("x", None, {}))
    assert spans.dropped == 5


def test_they_arrive_at_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as (endpoint, got):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        traced = tracing_from({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
        assert traced is not None
        tracing, spans = traced
        assert isinstance(spans, Spans)
        spans.start()
        tracing.end(tracing.receive("message say", None, {"channeld.channel": "room"}))
        spans.close()
    [span] = got
    assert span.name == "message say"
    assert span.attributes[0].value.string_value == "room"


def test_spans_that_a_collector_refuses_are_told_and_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Refusing(InMemorySpanExporter):
        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            return SpanExportResult.FAILURE

    traced = tracing_from(ON, Refusing())
    assert traced is not None
    tracing, spans = traced
    tracing.end(tracing.receive("message say", None, {}))
    spans.flush()
    assert spans.dropped == 1
    assert "spans_lost" in capsys.readouterr().err

"""OpenTelemetry: exports spans, in a thread of its own, to the collector that the environment names.

Tracing is on when `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set and the extra `channeld[otel]` is
installed. The standard variables apply: `OTEL_SDK_DISABLED`, `OTEL_TRACES_EXPORTER=none`, `OTEL_SERVICE_NAME`,
`OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER` and `…_ARG`, the exporter's own. Spans that wait are bounded by `MOST`;
further ones are dropped and counted.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Protocol

from channeld.telemetry import log
from channeld.telemetry.tracing import Span, Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

MOST: Final = 20_000
_EVERY_S: Final = 1.0
_BATCH: Final = 2_000
_LAST_S: Final = 3.0
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class SpanExporter(Protocol):
    """The part of an OpenTelemetry exporter that is used."""

    def export(self, spans: "Sequence[ReadableSpan]") -> object:
        """Export spans; blocks."""

    def shutdown(self) -> None:
        """Called when no more spans follow."""


class Spans:
    """Queues ended spans, and exports them from a thread of its own.

    Args:
        exporter: gets OpenTelemetry's `ReadableSpan`.
        environ: for the resource.
    """

    def __init__(self, exporter: SpanExporter, environ: Mapping[str, str]) -> None:
        self.dropped = 0
        self._exporter = exporter
        self._readable = _translator(environ)
        self._waiting: deque[Span] = deque()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)

    def start(self) -> None:
        """Start the export thread."""
        self._thread.start()

    def take(self, span: Span) -> None:
        """Queue a span. Never waits, never raises."""
        if len(self._waiting) >= MOST:
            self.dropped += 1
        else:
            self._waiting.append(span)

    def close(self) -> None:
        """Export the waiting spans within a time limit, and stop; blocks."""
        self._ends.set()
        if self._thread.ident is not None:
            self._thread.join(_LAST_S)

    def _run(self) -> None:
        while not self._ends.wait(_EVERY_S):
            self.flush()
        self.flush()
        self._exporter.shutdown()

    def flush(self) -> None:
        """Export the waiting spans now."""
        while self._waiting:
            count = min(_BATCH, len(self._waiting))
            batch = [self._readable(self._waiting.popleft()) for _ in range(count)]
            try:
                result = self._exporter.export(batch)
            except Exception as error:  # third-party code on our thread
                why = type(error).__name__
            else:
                # Exporters report failure by their return value, and log the reason themselves.
                why = "the exporter failed" if getattr(result, "name", "") == "FAILURE" else ""
            if why:
                self.dropped += count
                log("spans_lost", spans=count, reason=why)


def _translator(environ: Mapping[str, str]) -> "Callable[[Span], ReadableSpan]":
    """Make the function that turns a span into a ReadableSpan."""
    from opentelemetry import trace  # noqa: PLC0415 - only while tracing is on
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415

    from channeld import __version__  # noqa: PLC0415 - the package imports this module's neighbours

    resource = Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME", "channeld")})
    resource = resource.merge(OTELResourceDetector().detect())
    scope = InstrumentationScope("channeld", __version__)
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)

    def context(trace_id: int, id: int, *, remote: bool = False) -> trace.SpanContext:
        return trace.SpanContext(trace_id, id, remote, flags)

    def readable(span: Span) -> ReadableSpan:
        failed = trace.Status(trace.StatusCode.ERROR, span.error)
        return ReadableSpan(
            span.name,
            context=context(span.trace, span.id),
            parent=None if span.parent is None else context(span.trace, span.parent),
            resource=resource,
            attributes=span.attributes,
            links=() if span.link is None else (trace.Link(context(*span.link)),),
            kind=trace.SpanKind[span.kind.upper()],
            status=failed if span.error else trace.Status(),
            start_time=span.started,
            end_time=span.ended,
            instrumentation_scope=scope,
        )

    return readable


def _entering() -> Callable[[Span], Callable[[], None]]:
    """Make the function that makes a span OpenTelemetry's current one, so that hooks' own spans become its children."""
    from opentelemetry import context, trace  # noqa: PLC0415 - only while tracing is on

    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)

    def enter(span: Span) -> Callable[[], None]:
        ours = trace.NonRecordingSpan(trace.SpanContext(span.trace, span.id, False, flags))
        token = context.attach(trace.set_span_in_context(ours))
        return lambda: context.detach(token)

    return enter


def tracing_from(
    environ: Mapping[str, str], exporter: SpanExporter | None = None
) -> tuple[Tracing, Spans] | None:
    """Tracing as the environment configures it, and its exporter thread, not yet started; None: tracing is off."""
    if not _is_wanted(environ):
        return None
    # Looking for a module below one that is missing would raise.
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        log("tracing_off", reason="install channeld[otel]")
        return None
    spans = Spans(exporter or _otlp(), environ)
    ratio, follows = _sampling(environ)
    source = random.SystemRandom().getrandbits(64)
    tracing = Tracing(
        spans.take,
        now=time.time_ns,
        random_bits=random.Random(source).getrandbits,  # noqa: S311 - ids of spans are not secret
        ratio=ratio,
        follows=follows,
        enter=_entering(),
    )
    return tracing, spans


def _is_wanted(environ: Mapping[str, str]) -> bool:
    is_disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    is_none = environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
    return any(environ.get(name) for name in _ENDPOINTS) and not is_disabled and not is_none


def _otlp() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - only while tracing is on
        OTLPSpanExporter,
    )

    return OTLPSpanExporter()


def _sampling(environ: Mapping[str, str]) -> tuple[float, bool]:
    """The sampling ratio, and whether the caller's decision is respected."""
    name = environ.get("OTEL_TRACES_SAMPLER", "") or "parentbased_always_on"
    follows, kind = name.startswith("parentbased_"), name.removeprefix("parentbased_")
    if kind == "traceidratio":
        try:
            return min(1.0, max(0.0, float(environ.get("OTEL_TRACES_SAMPLER_ARG", "1")))), follows
        except ValueError:
            return 1.0, follows
    return 0.0 if kind == "always_off" else 1.0, follows

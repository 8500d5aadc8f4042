"""The side of `traces.py` that knows OpenTelemetry; loaded only where traces are on.

Spans wait in a queue of bounded length, and a thread of its own sends them: a receiver that is slow or away costs
spans, never a request. What follows from the standard variables (`OTEL_…`) is the SDK's to read.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from grandstand import __version__
from grandstand.settings import SettingsError
from grandstand.telemetry.traces import LINKS_MAX, NO_TRACE, Attribute

_PROTOCOL = "http/protobuf"
_PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_CLOSE_SECONDS = 2.0
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"))
_FAULT_STATUS = 500


def open_tracing(role: str) -> "OpenTelemetryTracing":
    """Return what records the spans of this process.

    Raises:
        SettingsError: a variable asks for a protocol that is not spoken, or has a wrong value.
    """
    for variable in _PROTOCOL_VARIABLES:
        if os.environ.get(variable, _PROTOCOL) != _PROTOCOL:
            raise SettingsError(f"Variable {variable} is wrong: traces are sent by {_PROTOCOL}.")
    own = {
        "service.name": "grandstand",
        "service.version": __version__,
        "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        "grandstand.role": role,
    }
    try:
        # What is set by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES stands above what we say of ourselves.
        provider = TracerProvider(
            resource=Resource(own).merge(Resource.create()) if _names_service() else Resource.create(own),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        raise SettingsError(f"A variable of OpenTelemetry is wrong: {error}.") from error
    return OpenTelemetryTracing(provider)


def _names_service() -> bool:
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )


class _Request:
    """The span of a request."""

    def __init__(self, span: trace.Span, method: str) -> None:
        self._span = span
        self._method = method

    def answered(self, route: str, status: int) -> None:
        """Take in what the answer was."""
        self._span.update_name(f"{self._method} {route}")
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= _FAULT_STATUS:
            self._span.set_status(StatusCode.ERROR)


class OpenTelemetryTracing:
    """Records spans for one process; see `traces.Tracing`."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("grandstand", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, method: str, traceparent: str | None) -> Iterator[_Request]:
        """As `traces.request`."""
        known = method if method in _METHODS else "_OTHER"
        # Only the ids and the flag: nobody here has a use for what else a stranger may say of his trace.
        carrier = {} if traceparent is None else {"traceparent": traceparent}
        context = self._propagator.extract(carrier, trace.set_span_in_context(trace.INVALID_SPAN))
        span = self._tracer.start_span(
            known, context, SpanKind.SERVER, attributes={"http.request.method": known}
        )  # fmt: skip
        with self._within(span):
            yield _Request(span, known)

    @contextmanager
    def work(self, name: str, **attributes: Attribute) -> Iterator[None]:
        """As `traces.work`."""
        root = trace.set_span_in_context(trace.INVALID_SPAN)
        with self._within(self._tracer.start_span(name, root, attributes=attributes)):
            yield

    @contextmanager
    def span(self, name: str, **attributes: Attribute) -> Iterator[None]:
        """As `traces.span`."""
        if not trace.get_current_span().is_recording():
            yield
            return
        with self._within(self._tracer.start_span(name, attributes=attributes)):
            yield

    @contextmanager
    def batch(self, blocks: Sequence[tuple[bytes, datetime]], events: int) -> Iterator[None]:
        """As `traces.batch`."""
        named = [
            (context, received_at)
            for traces, received_at in blocks
            for context in map(_read, traces.split(b","))
            if context is not None
        ][:LINKS_MAX]
        if not named:
            yield
            return
        first = _remote(named[0][0])
        span = self._tracer.start_span(
            "apply", first, SpanKind.CONSUMER,
            attributes={"grandstand.events": events, "grandstand.requests": len(named)},
            links=[Link(context) for context, _ in named],
        )  # fmt: skip
        self._tell_deliveries(named, span.get_span_context())
        with self._within(span):
            yield

    def _tell_deliveries(self, named: Sequence[tuple[SpanContext, datetime]], batch: SpanContext) -> None:
        """In the trace of each request, say how long it waited and which batch it is in."""
        now = time.time_ns()
        for context, received_at in named:
            # The clock that says so is another host's.
            began = min(now, int(received_at.timestamp() * 1e9))
            waiting = self._tracer.start_span(
                "deliver", _remote(context), SpanKind.CONSUMER, links=[Link(batch)], start_time=began
            )
            waiting.end(now)

    def note(self, **attributes: Attribute) -> None:
        """As `traces.note`."""
        trace.get_current_span().set_attributes(attributes)

    def current(self) -> bytes:
        """As `traces.current`."""
        context = trace.get_current_span().get_span_context()
        if not context.is_valid or not context.trace_flags.sampled:
            return NO_TRACE
        return b"00-%032x-%016x-01" % (context.trace_id, context.span_id)

    def ids(self) -> tuple[str, str] | None:
        """Return the ids of the open span as a log has them; None when nobody records it."""
        context = trace.get_current_span().get_span_context()
        if not context.is_valid or not context.trace_flags.sampled:
            return None
        return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)

    def close(self) -> None:
        """As `traces.end`."""
        # The SDK would wait for a receiver that is away for as long as it tries.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)

    @contextmanager
    def _within(self, span: trace.Span) -> Iterator[None]:
        """Have the span open, and end it; of an exception it keeps the type alone: its text may hold what was sent."""
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()


def _read(text: bytes) -> SpanContext | None:
    """Return a span as a block names it; None for what is no such name."""
    parts = text.split(b"-")
    try:
        context = SpanContext(int(parts[1], 16), int(parts[2], 16), is_remote=True, trace_flags=TraceFlags(0x01))
    except (IndexError, ValueError):
        return None
    return context if context.is_valid else None


def _remote(context: SpanContext) -> Context:
    return trace.set_span_in_context(trace.NonRecordingSpan(context))

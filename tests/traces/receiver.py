"""A receiver of OTLP over HTTP: takes what exporters send, decodes it, and can be slow or refuse."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    role: str
    service: str
    began: int
    ended: int
    attributes: dict[str, Any] = field(hash=False)
    links: tuple[tuple[str, str], ...]
    """(trace id, span id) each."""
    is_error: bool


class Receiver:
    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []
        self.delay_seconds = 0.0
        self._go_on = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                outer._go_on.wait(outer.delay_seconds)  # Nobody may be there for the answer any more.
                if self.path == "/v1/traces":
                    outer.take(body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {item.key: item.value.string_value for item in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                self.spans += [
                    Span(
                        name=one.name,
                        trace_id=one.trace_id.hex(),
                        span_id=one.span_id.hex(),
                        parent_id=one.parent_span_id.hex(),
                        role=about["grandstand.role"],
                        service=about["service.name"],
                        began=one.start_time_unix_nano,
                        ended=one.end_time_unix_nano,
                        attributes={
                            item.key: getattr(item.value, item.value.WhichOneof("value")) for item in one.attributes
                        },
                        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in one.links),
                        is_error=one.status.code == 2,
                    )
                    for one in of_scope.spans
                ]

    def of(self, trace_id: str) -> dict[str, Span]:
        """The spans of a trace by name."""
        return {span.name: span for span in self.spans if span.trace_id == trace_id}

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def let_go(self) -> None:
        """Answer what hangs."""
        self._go_on.set()

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._go_on.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()

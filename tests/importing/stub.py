"""A server that answers imports as it is told: what a real one does in bad moments."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TAKE = (200, {}, None)
"""Takes every line of the request."""

Reply = tuple[int, dict[str, str], Any]


@dataclass
class Stub:
    """`decide` gives the reply to a request's lines; `taken` holds the lines of those that were answered with 200."""

    url: str = ""
    decide: Callable[[list[bytes]], Reply] = lambda lines: TAKE
    taken: list[bytes] = field(default_factory=list)
    requests: list[list[bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.taken]


def taken_with_rejected(*rejected: tuple[int, str, str], count: int | None = None) -> Reply:
    """An answer that refuses the lines of these numbers."""
    rows = [{"line": line, "code": code, "message": message} for line, code, message in rejected]
    return 200, {}, {"rejected": rows, "rejected_count": len(rows) if count is None else count}


def problem(status: int, detail: str, **headers: str) -> Reply:
    """A refusal of the whole request."""
    return status, headers, {"status": status, "title": "Refused", "detail": detail, "code": "some_code"}


@contextmanager
def serving() -> Iterator[Stub]:
    """Run a stub on a free port."""
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            lines = body.removesuffix(b"\n").split(b"\n")
            stub.requests.append(lines)
            stub.headers.append(dict(self.headers))
            status, headers, content = stub.decide(lines)
            if status == 0:
                self.close_connection = True
                return
            if status == 200 and not isinstance(content, bytes):
                answer = {"lines": len(lines), "rejected": [], "rejected_count": 0} | (content or {})
                answer["accepted"] = len(lines) - answer["rejected_count"]
                content = answer
                stub.taken += lines
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

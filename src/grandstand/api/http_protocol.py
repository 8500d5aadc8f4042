"""uvicorn's HTTP protocol with the limits that it lacks, and a stricter reading of heads (`request_heads.py`).

The limits are: how many connections there may be, how large and how slow the head of a request, how slow what is left
of a body that nobody reads, and how slow a client takes its answer.

The parser copies a header's value anew for every piece of it that arrives, so without a limit one client with a
header of 100 MB keeps a process busy for half a minute. A limit on the head alone would leave the trailers behind a
chunked body, so what counts is progress: the end of a head, or a piece of a body.
"""

import asyncio
import socket
import struct
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from grandstand.api.at_once import AnswerAtOnce, SingleHeaders
from grandstand.api.problems import HeadTooLargeError, reply_of
from grandstand.api.request_heads import check_head, without_upgrade
from grandstand.api.wire import OPEN_WIRE, Wire
from grandstand.domain.errors import GrandstandError, MalformedError, UnavailableError
from grandstand.telemetry import metrics

HEAD_BYTES_MAX = 65_536
"""Bytes that may arrive without progress. The piece in which a head ends does not count, which is as large at most."""

HEAD_TIMEOUT_SECONDS = 30.0
"""Longest time from the connection, or from the first byte of a head, to the head's end."""

REST_TIMEOUT_SECONDS = 10.0
"""Longest time from an answer to the end of its request's body, which is thrown away."""

WRITE_TIMEOUT_SECONDS = 30.0
"""Longest time in which a client takes nothing of an answer that is waiting for it."""

_NO_LINGER = struct.pack("ii", 1, 0)


class LimitedHttpProtocol(HttpToolsProtocol):
    """One connection. Over a limit it is closed, with an answer where one may still be given."""

    def __init__(self, *arguments: Any, connections_max: int, at_once: AnswerAtOnce | None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._connections_max = connections_max
        self._at_once = at_once
        self._may_answer_at_once = self._is_answered = self._is_receiving = False
        self._quiet_since = 0.0
        self._defaults: list[tuple[bytes, bytes]] = []
        self._lines = b""
        self._idle_bytes = 0
        self._has_progress = False
        self._refusal: MalformedError | None = None
        self._overdue: asyncio.TimerHandle | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        # uvicorn remembers the newest request of a pipeline only, and this is the one that is being answered.
        self._answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head, unless there are too many connections already."""
        super().connection_made(transport)
        if len(self.connections) > self._connections_max:
            metrics.CONNECTIONS_REFUSED.inc()
            self._refuse(UnavailableError("There are too many connections; try again."))
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all waiting, and let no answer be written any more."""
        self._unwatch()
        for timer in (self._rest, self._stalled):
            if timer is not None:
                timer.cancel()
        self.pipeline.clear()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, and close the connection when it goes on without progress."""
        self._has_progress = False
        # One a piece of data: who sends many requests in one does not keep everybody else waiting.
        self._may_answer_at_once = self._at_once is not None
        self._is_receiving = True
        self._parse(data)
        self._is_receiving = False
        if self._has_progress:
            self._idle_bytes = 0
            self._unwatch()
            return
        self._idle_bytes += len(data)
        if self._idle_bytes > HEAD_BYTES_MAX:
            self._refuse(HeadTooLargeError(f"The head of a request may have {HEAD_BYTES_MAX} bytes."))
        else:
            self._watch()

    def on_message_begin(self) -> None:
        """Begin with nothing; what only ASGI needs is made when it is needed."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._is_answered = False

    def on_headers_complete(self) -> None:
        """Note the end of a head, and look whether it is one; answer it now if that can be done, else begin with it.

        One that asks for another protocol is read again.
        """
        self._has_progress = True
        try:
            version, method = self.parser.get_http_version(), self.parser.get_method()
            by_name = dict(self.headers)
            self.url = check_head(version, method, self.url, self.headers, by_name)
        except MalformedError as error:
            self._refusal = error
            raise
        if self.parser.should_upgrade():
            return
        if self._may_answer_at_once:
            self._may_answer_at_once = False
            is_plain = version == "1.1" and len(by_name) == len(self.headers)
            if is_plain and self._answers_at_once(method, by_name):
                return
        self._begin_usually()

    def on_body(self, body: bytes) -> None:
        """Note a piece of a body."""
        self._has_progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a body."""
        if self._is_answered or self.parser.should_upgrade():
            return
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Give the rest of a body that was answered before its end a time to arrive."""
        if self._answering is not None and self._answering.more_body and self._rest is None:
            self._rest = self.loop.call_later(REST_TIMEOUT_SECONDS, self.transport.close)
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been quiet for so long; between answers at once the timer just goes on."""
        self.timeout_keep_alive_task = None
        if self._is_busy() or self._overdue is not None:
            return
        left_seconds = self._quiet_since + self.timeout_keep_alive - self.loop.time()
        if left_seconds > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_seconds, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        # To stop and start a timer for each of many small requests would cost as much as some of them do.
        if not self._is_receiving:
            super()._unset_keepalive_if_required()

    def pause_writing(self) -> None:
        """Begin to wait for a client that takes nothing."""
        if self._stalled is None:
            self._stalled = self.loop.call_later(WRITE_TIMEOUT_SECONDS, self._abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client has taken something."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _parse(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                try:
                    self.parser.feed_data(rest)
                    return
                except httptools.HttpParserUpgrade as upgrade:
                    rest = rest[upgrade.args[0] :]
                    self._parse_without_upgrade()
        except httptools.HttpParserError:
            self._refuse(self._refusal or MalformedError("This is no HTTP request."))

    def _parse_without_upgrade(self) -> None:
        """Read the head once more as that of any other request.

        RFC 9110 lets a server ignore the wish for another protocol, and Java's own client has it with its first
        request. The parser does not: it would take a body for that protocol, or for the next request.
        """
        version, method = self.parser.get_http_version(), self.parser.get_method()
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(without_upgrade(version, method, self.url, self.headers))

    def _begin_usually(self) -> None:
        """Begin with a request by ASGI."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        # For answers that go on for hours.
        self.scope["extensions"] = {OPEN_WIRE: self._open_wire}  # type: ignore[dict-item]
        super().on_headers_complete()

    def _answers_at_once(self, method: bytes, by_name: SingleHeaders) -> bool:
        if method != b"GET" or not self._is_free():
            return False
        self._is_answered = self._sends_at_once(self.url, by_name)
        return self._is_answered

    def _sends_at_once(self, target: bytes, by_name: SingleHeaders) -> bool:
        """Send what is held for a target to whoever needs not wait; False if that is nothing."""
        if self._at_once is None:
            return False
        answer = self._at_once(target, by_name, self.client[0] if self.client else None)
        if answer is None:
            return False
        (status_line, headers, body), own_headers = answer
        self.server_state.total_requests += 1
        self.transport.write(b"".join((status_line, self._default_lines(), headers, own_headers, b"\r\n", body)))
        self._note_quiet()
        return True

    def _note_quiet(self) -> None:
        """Begin to count how long nothing is asked, without an own timer for each time."""
        self._quiet_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _default_lines(self) -> bytes:
        # uvicorn makes a new list every second, for the date.
        headers = self.server_state.default_headers
        if headers is not self._defaults:
            self._defaults = headers
            self._lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._lines

    def _is_free(self) -> bool:
        """Whether this connection has nothing under way, and goes on after this request."""
        return self._is_idle() and self.parser.should_keep_alive()

    def _is_idle(self) -> bool:
        """Whether this connection has nothing under way, and somebody who is known at its other end."""
        return not (self.client is None or self._is_busy() or self.flow.write_paused or self.transport.is_closing())

    def _is_busy(self) -> bool:
        return bool(self.pipeline) or (self._answering is not None and not self._answering.response_complete)

    def _refuse(self, error: GrandstandError) -> None:
        if self.transport.is_closing():
            return
        # An answer that is under way is of another request; a second one inside it would be taken for its body.
        if self._answering is None or self._answering.response_complete:
            reply = reply_of(error)
            lines = [
                f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}".encode(),
                b"content-type: " + reply.media_type.encode(),
                b"content-length: %d" % len(reply.body),
                b"connection: close",
                *(name + b": " + value for name, value in (*self.server_state.default_headers, *reply.headers)),
            ]
            self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + reply.body)
        self.transport.close()

    def _open_wire(self) -> Wire:
        return Wire(self._push, self._wake, self._abort)

    def _push(self, data: bytes) -> bool:
        if self.transport.is_closing():
            return True
        if self.flow.write_paused:
            return False
        is_chunked = self._answering is not None and self._answering.chunked_encoding
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if is_chunked else data)
        return True

    def _wake(self) -> None:
        if self._answering is not None:
            self._answering.message_event.set()

    def _abort(self) -> None:
        client = self.transport.get_extra_info("socket")
        if client is not None:
            # Or the kernel would keep what it holds for this client, and go on offering it.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def _watch(self) -> None:
        if self._overdue is None and not self.transport.is_closing():
            self._overdue = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self.transport.close)

    def _unwatch(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

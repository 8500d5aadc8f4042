"""The HTTP protocol that also takes some requests at once: posts of events that arrive with their head, and reads.

Until the body has ended nothing of such a post is anywhere but here. If the piece of data ends first, the request
begins in the usual way, with its clocks and its limits, as if it had never been held. A read has no body to wait for.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from grandstand.api.at_once import SingleHeaders, Whole
from grandstand.api.http_protocol import HEAD_BYTES_MAX, LimitedHttpProtocol
from grandstand.api.post_at_once import EVENTS_TARGET, PostAtOnce
from grandstand.api.read_at_once import ReadAtOnce

_LENGTH_DIGITS_MAX = 5
_TELLING = frozenset((b"content-encoding", b"expect", b"te", b"transfer-encoding", b"upgrade"))
"""Headers that announce more than a head and so many bytes."""

_TELLING_OF_READS = _TELLING | {b"content-length"}


class _Nobody:
    """Stands for the event that a cycle wakes its `receive` with: here is nobody who waits for it."""

    def set(self) -> None:
        pass


class _UnderWay:
    """A request that is being answered: what uvicorn and the limits ask of the cycle of a request."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    more_body = False
    message_event = _Nobody()

    def __init__(self) -> None:
        self.response_complete = self.disconnected = False
        self.keep_alive = True


class PostingHttpProtocol(LimitedHttpProtocol):
    """One connection."""

    def __init__(
        self, *arguments: Any, post_at_once: PostAtOnce | None, read_at_once: ReadAtOnce | None, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._post_at_once, self._read_at_once = post_at_once, read_at_once
        self._held: list[bytes] | None = None

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived; a post that has not arrived as a whole is no longer held."""
        super().data_received(data)
        held, self._held = self._held, None
        if held is not None and not self.transport.is_closing():
            self._begin_usually()
            for piece in held:
                super().on_body(piece)

    def on_body(self, body: bytes) -> None:
        """Note a piece of a body."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        """Note the end of a body; take it if it is held."""
        held, self._held = self._held, None
        if held is None or self._post_at_once is None:
            super().on_message_complete()
            return
        body = held[0] if len(held) == 1 else b"".join(held)
        if not self._hand_in(self._post_at_once, self.headers, body):
            self._begin_usually()
            super().on_body(body)
            super().on_message_complete()

    def _answers_at_once(self, method: bytes, by_name: SingleHeaders) -> bool:
        if super()._answers_at_once(method, by_name):
            return True
        if method == b"POST":
            return self._holds(by_name)
        return method == b"GET" and self._reads(by_name)

    def _holds(self, by_name: SingleHeaders) -> bool:
        """Hold a request back until its body ends, if it is a plain post of events and nothing else is under way."""
        if (
            self.url != EVENTS_TARGET
            or self._post_at_once is None
            or not _TELLING.isdisjoint(by_name)
            or not self._is_free()
        ):
            return False
        length = by_name.get(b"content-length", b"")
        if not length.isdigit() or len(length) > _LENGTH_DIGITS_MAX or int(length) > HEAD_BYTES_MAX:
            return False
        self._held = []
        return True

    def _reads(self, by_name: SingleHeaders) -> bool:
        """Hand a plain read in, if it is one of those that are taken and nothing else is under way."""
        take = self._read_at_once
        if take is None or not _TELLING_OF_READS.isdisjoint(by_name) or not self._is_free():
            return False
        self._is_answered = self._hand_in(take, self.url, self.headers)
        return self._is_answered

    def _is_free(self) -> bool:
        """Whether this connection has nothing under way, and goes on with whoever is known to be at its other end."""
        return not (
            self.client is None
            or self._is_busy()
            or self.flow.write_paused
            or self.transport.is_closing()
            or not self.parser.should_keep_alive()
        )

    def _hand_in(self, take: Callable[..., bool], *of_request: Any) -> bool:
        """Begin with a request that `take` answers now or later; False, and all is as before, if it does not.

        It is called with what is given here of the request, the peer, and what sends the answer.
        """
        before = self.cycle, self._answering
        request = _UnderWay()
        self.cycle = self._answering = request  # type: ignore[assignment]
        # The peer is known: without it nothing is handed in.
        if take(*of_request, self.client, partial(self._answer, request)):
            return True
        self.cycle, self._answering = before
        return False

    def _answer(self, request: _UnderWay, whole: Whole) -> None:
        request.response_complete = True
        if request.disconnected or self.transport.is_closing():
            return
        self.server_state.total_requests += 1
        status_line, headers, body = whole
        # A server that is stopping has said so meanwhile.
        end = b"\r\n" if request.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((status_line, self._default_lines(), headers, end, body)))
        if not request.keep_alive:
            self.transport.close()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._note_quiet()

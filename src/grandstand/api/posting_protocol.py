"""The HTTP protocol that also takes some requests at once: posts of events that arrive with their head, and reads.

Until the body has ended nothing of such a post is anywhere but here. If the piece of data ends first, the request
begins in the usual way, with its clocks and its limits, as if it had never been held. A read has no body to wait for.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from grandstand.api.at_once import SingleHeaders, Whole
from grandstand.api.http_protocol import HEAD_BYTES_MAX, LimitedHttpProtocol
from grandstand.api.post_at_once import EVENTS_TARGET, PostAtOnce, PostHead
from grandstand.api.read_at_once import ReadAtOnce, ReadHead

_LENGTH_DIGITS_MAX = 5
_TELLING = frozenset((b"content-encoding", b"expect", b"te", b"transfer-encoding", b"upgrade"))
"""Headers that announce more than a head and so many bytes."""

_TELLING_OF_READS = _TELLING | {b"content-length"}


_LENGTH_LINE = re.compile(rb"\r\ncontent-length: ?([0-9]{1,%d})\r\n" % _LENGTH_DIGITS_MAX, re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_KNOWN_BYTES_MAX = 4096
"""Of a head that a connection remembers."""


class _KnownHead(NamedTuple):
    """The head of a post that was taken at once: its bytes before and behind the digits of its `Content-Length`."""

    before: bytes
    behind: bytes
    head: PostHead


_PLAIN_TARGET = re.compile(rb"/[A-Za-z0-9._~%!$&'()*+,;=:@/?-]*")
"""A target in which nothing is that the parser or the look at a head would stumble over."""


class _KnownRead(NamedTuple):
    """What is behind the target in the head of a read that was taken at once: its bytes, and what they say."""

    behind: bytes
    head: ReadHead
    by_name: SingleHeaders


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
    """One connection.

    Most of what a client sends over it has the head of what it sent before, but for the length of a post's body, or a
    read's target. What the parser, which stands between two requests, said of the same bytes it would say again: they
    are not parsed.
    """

    def __init__(
        self, *arguments: Any, post_at_once: PostAtOnce | None, read_at_once: ReadAtOnce | None, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._post_at_once, self._read_at_once = post_at_once, read_at_once
        self._held: list[bytes] | None = None
        self._taken: PostHead | None = None
        self._known: _KnownHead | None = None
        self._strange = self._strange_reads = 0
        self._taken_read: tuple[ReadHead, SingleHeaders] | None = None
        self._known_read: _KnownRead | None = None
        self._is_between = True

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived; a post that has not arrived as a whole is no longer held."""
        was_between = self._is_between
        if was_between:
            if self._known_read is not None and self._take_known_read(self._known_read, data):
                return
            if self._known is not None and self._take_known(self._known, data):
                return
        self._taken = self._taken_read = None
        super().data_received(data)
        if was_between and self._is_between:
            self._learn(data)
            self._learn_read(data)
        held, self._held = self._held, None
        if held is not None and not self.transport.is_closing():
            self._begin_usually()
            for piece in held:
                super().on_body(piece)

    def on_message_begin(self) -> None:
        """Note that the parser stands in a request."""
        self._is_between = False
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Note a piece of a body."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        """Note the end of a body; take it if it is held."""
        # What is behind a last request is none, and what is behind an upgrade is read by another parser.
        self._is_between = self.parser.should_keep_alive() and not self.parser.should_upgrade()
        held, self._held = self._held, None
        if held is None or self._post_at_once is None:
            super().on_message_complete()
            return
        body = held[0] if len(held) == 1 else b"".join(held)
        head = PostHead(self.headers)
        if self._hand_in(self._post_at_once, head, body):
            self._taken = head
        else:
            self._begin_usually()
            super().on_body(body)
            super().on_message_complete()

    def _answers_at_once(self, method: bytes, by_name: SingleHeaders) -> bool:
        if method == b"POST":
            return self._holds(by_name)
        head = ReadHead.of(self.headers, by_name)
        if super()._answers_at_once(method, by_name) or (method == b"GET" and self._reads(head, by_name)):
            self._taken_read = head, by_name
            return True
        return False

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

    def _reads(self, head: ReadHead, by_name: SingleHeaders) -> bool:
        """Hand a plain read in, if it is one of those that are taken and nothing else is under way."""
        take = self._read_at_once
        if take is None or not _TELLING_OF_READS.isdisjoint(by_name) or not self._is_free():
            return False
        self._is_answered = self._hand_in(take, self.url, head)
        return self._is_answered

    def _take_known(self, known: _KnownHead, data: bytes) -> bool:
        """Take a post that arrived as a whole and has the head that is known; False, and all is as before, if not."""
        before, behind, head = known
        if not data.startswith(before):
            return False
        start = len(before)
        end = data.find(b"\r", start, start + _LENGTH_DIGITS_MAX + 1)
        length = data[start:end]
        if end < 0 or not length.isdigit() or not data.startswith(behind, end):
            return False
        body_at = end + len(behind)
        body_bytes = len(data) - body_at
        if int(length) != body_bytes or body_bytes > HEAD_BYTES_MAX or not self._is_idle():
            return False
        if self._post_at_once is None or not self._hand_in(self._post_at_once, head, data[body_at:]):
            return False
        self._strange = self._idle_bytes = 0
        self._unwatch()
        return True

    def _learn(self, data: bytes) -> None:
        """Remember the head of the one request that a piece of data was, if it is a post that was taken."""
        head = self._taken
        if head is None:
            return
        self._strange += 1
        if self._strange & (self._strange - 1):
            # A proxy sends each time another client's: to remember all of them would be for nothing.
            return
        head_end = data.find(_HEAD_END)
        found = _LENGTH_LINE.search(data, 0, head_end + 2)
        body_at = head_end + len(_HEAD_END)
        if found is not None and body_at <= _KNOWN_BYTES_MAX and int(found[1]) == len(data) - body_at:
            self._known = _KnownHead(data[: found.start(1)], data[found.end(1) : body_at], head)

    def _take_known_read(self, known: _KnownRead, data: bytes) -> bool:
        """Take a read whose head is known but for its target; False, and all is as before, if it is none."""
        behind, head, by_name = known
        if not data.endswith(behind) or not data.startswith(b"GET /") or len(data) > _KNOWN_BYTES_MAX:
            return False
        target = data[4 : -len(behind)]
        if _PLAIN_TARGET.fullmatch(target) is None or not self._is_idle():
            return False
        if not self._sends_at_once(target, by_name) and (
            self._read_at_once is None or not self._hand_in(self._read_at_once, target, head)
        ):
            return False
        self._strange_reads = self._idle_bytes = 0
        self._unwatch()
        return True

    def _learn_read(self, data: bytes) -> None:
        """Remember the head of the one request that a piece of data was, if it is a read that was taken."""
        if self._taken_read is None:
            return
        self._strange_reads += 1
        if self._strange_reads & (self._strange_reads - 1):
            return
        head, by_name = self._taken_read
        target_end = data.find(b" ", 4)
        if (
            data.find(_HEAD_END) + len(_HEAD_END) == len(data) <= _KNOWN_BYTES_MAX
            and data[4:target_end] == self.url
            and _TELLING_OF_READS.isdisjoint(by_name)
        ):
            self._known_read = _KnownRead(data[target_end:], head, by_name)

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

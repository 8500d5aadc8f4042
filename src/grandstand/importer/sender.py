"""Sends lines to `POST /api/events/import`, and waits out what passes: a restart, an outage, too much at once."""

import random
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import httpx
import msgspec

from grandstand.client.connection import Connection, check_url
from grandstand.client.errors import PassingError, ServerError

__all__ = ["Answer", "Rejected", "Sender", "TooLargeForServerError", "check_url"]

PATH = "/api/events/import"
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 10.0


class Rejected(msgspec.Struct):
    """One line that the server did not take; `line` counts from 1 within the request."""

    line: int
    code: str
    message: str


class Answer(msgspec.Struct):
    """What became of a request's lines. `rejected` lists the first of the `rejected_count`."""

    accepted: int
    rejected_count: int
    rejected: list[Rejected]


class TooLargeForServerError(Exception):
    """The server, or something before it, takes no body of this size."""


class Sender:
    """A connection to one server. `say` is told of waits; every wait for one request ends after `retry_seconds`."""

    def __init__(
        self,
        url: str,
        server_key: str,
        retry_seconds: float,
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Check URL and key; nothing is sent yet.

        Raises:
            SourceError: one of them cannot be right.
        """
        self._connection = Connection(url, server_key)
        self.url = self._connection.url
        self._retry_seconds = retry_seconds
        self._say = say
        self._sleep = sleep

    def send(self, events: Sequence[bytes]) -> Answer:
        """Send JSON texts, one a line, and return what became of them; sending them again later is harmless.

        Raises:
            ServerError: the server stays out of reach, refuses the key or is no Grandstand.
            TooLargeForServerError: the body is too large for the server.
        """
        body = b"\n".join(events) + b"\n"
        deadline: float | None = None
        wait_seconds = _FIRST_WAIT_SECONDS
        while True:
            try:
                answer = self._send_once(body)
            except PassingError as error:
                if deadline is None:
                    deadline = time.monotonic() + self._retry_seconds
                    if self._retry_seconds:
                        self._say(f"{error.reason}; trying again for up to {self._retry_seconds:g} s …")
                # Several imports that were stopped by the same thing do not come back at the same moment.
                pause = max(error.wait_seconds, wait_seconds * random.uniform(0.5, 1.0))  # noqa: S311
                if time.monotonic() + pause > deadline:
                    raise
                self._sleep(pause)
                wait_seconds = min(_LONGEST_WAIT_SECONDS, wait_seconds * 2)
            else:
                if deadline is not None:
                    self._say("The server answers again.")
                return answer

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send_once(self, body: bytes) -> Answer:
        response = self._connection.request("POST", PATH, body, "application/x-ndjson")
        status = response.status_code
        if status == httpx.codes.OK:
            answer: Answer = self._connection.read(response, Answer)
            return answer
        if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            raise TooLargeForServerError
        if status in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED):
            message = f"What answers at {self.url} takes no imports ({status} at {PATH}): check the URL."
            raise ServerError(message)
        raise self._connection.refusal(response)

"""Sends lines to `POST /api/events/import`, and waits out what passes: a restart, an outage, too much at once."""

import ipaddress
import random
import ssl
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import httpx
import msgspec

from grandstand.importer.errors import ServerError, SourceError

PATH = "/api/events/import"
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 10.0
_PASSING = (408, 425, 429, 502, 503, 504)


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


class _Problem(msgspec.Struct):
    detail: str = ""
    title: str = ""


class _PassingError(Exception):
    """Worth another try, not before `wait_seconds` have passed."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


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
        self.url = url.rstrip("/")
        self._retry_seconds = retry_seconds
        self._say = say
        self._sleep = sleep
        if not server_key.isascii() or not server_key.isprintable() or " " in server_key:
            raise SourceError("The server key has characters that no key has: check GRANDSTAND_SERVER_KEY.")
        headers = {"Authorization": f"Bearer {server_key}", "Content-Type": "application/x-ndjson"}
        self._client = httpx.Client(headers=headers, timeout=_TIMEOUT, trust_env=not _is_loopback(self.url))

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
            except _PassingError as error:
                if deadline is None:
                    deadline = time.monotonic() + self._retry_seconds
                    if self._retry_seconds:
                        self._say(f"{error}; trying again for up to {self._retry_seconds:g} s …")
                # Several imports that were stopped by the same thing do not come back at the same moment.
                pause = max(error.wait_seconds, wait_seconds * random.uniform(0.5, 1.0))  # noqa: S311
                if time.monotonic() + pause > deadline:
                    raise ServerError(f"{error}.") from None
                self._sleep(pause)
                wait_seconds = min(_LONGEST_WAIT_SECONDS, wait_seconds * 2)
            else:
                if deadline is not None:
                    self._say("The server answers again.")
                return answer

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send_once(self, body: bytes) -> Answer:
        try:
            response = self._client.post(self.url + PATH, content=body)
        except httpx.TransportError as error:
            if isinstance(error, httpx.ConnectError) and _is_about_tls(error):
                raise ServerError(f"The server at {self.url} has no valid certificate: {error}.") from None
            raise _PassingError(f"The server at {self.url} cannot be reached ({_reason(error)})") from None
        if response.status_code == httpx.codes.OK:
            return self._read_answer(response)
        if response.status_code in _PASSING:
            reason = f"The server at {self.url} takes nothing right now ({_detail(response)})"
            raise _PassingError(reason, _retry_after_seconds(response))
        if response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            raise TooLargeForServerError
        raise ServerError(self._refusal(response))

    def _read_answer(self, response: httpx.Response) -> Answer:
        try:
            return msgspec.json.decode(response.content, type=Answer)
        except msgspec.DecodeError:
            raise ServerError(f"What answers at {self.url} is no Grandstand: check the URL.") from None

    def _refusal(self, response: httpx.Response) -> str:
        status = response.status_code
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return f"The server at {self.url} refuses the key: {_detail(response)}."
        if response.is_redirect:
            return f"The server at {self.url} sends on to {response.headers.get('location', '?')}: use that as the URL."
        if status in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED):
            return f"What answers at {self.url} takes no imports ({status} at {PATH}): check the URL."
        return f"The server at {self.url} refuses the request ({status}): {_detail(response)}."


def check_url(url: str) -> None:
    """Check that a text may be the URL of a server.

    Raises:
        SourceError: it is not; the message says what is wrong.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SourceError(f"The URL {url} is none: {error}.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SourceError(f"The URL {url} must begin with http:// or https:// and name a host.")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise SourceError(
            "The URL must hold no user, query or fragment: the credential goes into GRANDSTAND_SERVER_KEY."
        )


def _is_loopback(url: str) -> bool:
    # A proxy that the environment names is not meant for a server on this very machine.
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_about_tls(error: Exception) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _reason(error: httpx.TransportError) -> str:
    text = str(error).removeprefix("[Errno ").partition("] ")
    return (text[2] or text[0]).rstrip(".").lower() or type(error).__name__


def _detail(response: httpx.Response) -> str:
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    return (problem.detail or problem.title or f"{response.status_code} {response.reason_phrase}").rstrip(".")


def _retry_after_seconds(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0

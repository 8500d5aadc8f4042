"""A connection to one server with a key: checks both, and turns what goes wrong on the way into one sentence."""

import ipaddress
import ssl
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from grandstand.client.errors import PassingError, ServerError, UsageError

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_PASSING = (408, 425, 429, 502, 503, 504)


class Problem(msgspec.Struct):
    """What a refusal says of itself (RFC 9457)."""

    detail: str = ""
    title: str = ""
    code: str = ""


class Connection:
    """Sends requests to one server."""

    def __init__(self, url: str, key: str, kind: str = "server") -> None:
        """Check URL and key, which is of this `kind`; nothing is sent yet.

        Raises:
            UsageError: one of them cannot be right.
        """
        check_url(url)
        self.url = url.rstrip("/")
        self._kind = kind
        variable = f"GRANDSTAND_{kind.upper()}_KEY"
        if not key:
            raise UsageError(f"The {kind} key is missing: set {variable}.")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise UsageError(f"The {kind} key has characters that no key has: check {variable}.")
        headers = {"Authorization": f"Bearer {key}"}
        self._client = httpx.Client(headers=headers, timeout=_TIMEOUT, trust_env=not _is_loopback(self.url))

    def request(
        self, method: str, path: str, content: bytes | None = None, content_type: str = "application/json"
    ) -> httpx.Response:
        """Send one request and return the answer, whatever it is, unless another try may give a better one.

        Raises:
            ServerError: the server has no valid certificate.
            PassingError: it cannot be reached, or takes nothing right now.
        """
        headers = {} if content is None else {"Content-Type": content_type}
        try:
            response = self._client.request(method, self.url + path, content=content, headers=headers)
        except httpx.TransportError as error:
            if isinstance(error, httpx.ConnectError) and _is_about_tls(error):
                raise ServerError(f"The server at {self.url} has no valid certificate: {error}.") from None
            raise PassingError(f"The server at {self.url} cannot be reached ({_reason(error)})") from None
        if response.status_code in _PASSING:
            reason = f"The server at {self.url} takes nothing right now ({detail_of(response)})"
            raise PassingError(reason, _retry_after_seconds(response))
        return response

    def read(self, response: httpx.Response, type_: Any) -> Any:
        """Return the content of an answer.

        Raises:
            ServerError: it is not what a Grandstand answers.
        """
        try:
            return msgspec.json.decode(response.content, type=type_)
        except msgspec.DecodeError:
            raise ServerError(f"What answers at {self.url} is no Grandstand: check the URL.") from None

    def refusal(self, response: httpx.Response) -> ServerError:
        """Return the error that says why the server does not do what it was asked to."""
        status = response.status_code
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return ServerError(f"The server at {self.url} refuses the key: {detail_of(response)}.")
        if response.is_redirect:
            target = response.headers.get("location", "?")
            return ServerError(f"The server at {self.url} sends on to {target}: use that as the URL.")
        return ServerError(f"The server at {self.url} refuses the request ({status}): {detail_of(response)}.")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_url(url: str) -> None:
    """Check that a text may be the URL of a server.

    Raises:
        UsageError: it is not; the message says what is wrong.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UsageError(f"The URL {url} is none: {error}.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UsageError(f"The URL {url} must begin with http:// or https:// and name a host.")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise UsageError(
            "The URL must hold no user, query or fragment: the credential goes into GRANDSTAND_SERVER_KEY."
        )


def problem_of(response: httpx.Response) -> Problem:
    """Return what a refusal says; empty when it is not in the form of the contract."""
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except msgspec.DecodeError:
        return Problem()


def detail_of(response: httpx.Response) -> str:
    """Return why a request was refused, without the dot at the end."""
    problem = problem_of(response)
    return (problem.detail or problem.title or f"{response.status_code} {response.reason_phrase}").rstrip(".")


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


def _retry_after_seconds(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0

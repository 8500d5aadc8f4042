"""Questions beside the load: each is answered, or ends in one sentence for the person who waits."""

import asyncio
from types import TracebackType
from typing import Any

import msgspec

from grandstand.lab.errors import LabError
from grandstand.lab.http_connection import AnswerError, HttpClient, authority, body_in, request_of

ANSWER_SECONDS = 60.0
"""Longest wait for an answer: who listens and says nothing is no server."""

_BUSY_TRIES = 20
_BUSY_PAUSE_SECONDS = 0.5


class Asker:
    """Asks one server one thing after another. Use as an async context manager.

    The connection is made when it is needed, and anew where it was closed: servers and proxies end one that was quiet,
    or had so many requests.
    """

    def __init__(self, host: str, port: int, key: str, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._host, self._port, self._key = host, port, key
        self._answer_seconds = answer_seconds
        self._client: HttpClient | None = None

    async def __aenter__(self) -> "Asker":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def ask(self, method: str, path: str, content: object = None) -> tuple[int, bytes]:
        """Send a request, with `content` as JSON unless it is None; return the status and the body of the answer.

        Raises:
            LabError: nobody is there, or there is no answer, or none that can be read.
        """
        body = None if content is None else msgspec.json.encode(content)
        request = request_of(method, path, key=self._key, body=body, host=authority(self._host, self._port))
        may_be_stale = self._client is not None
        try:
            try:
                status, answer = await self._send(request)
            except ConnectionError:
                # A read may be asked twice; of a change nobody knows whether it was done.
                if not may_be_stale or method != "GET":
                    raise
                status, answer = await self._send(request)
        except TimeoutError:
            raise LabError(f"{method} {path} was not answered within {self._answer_seconds:.0f} s.") from None
        except (OSError, AnswerError) as error:
            raise LabError(f"{method} {path} was not answered: {error}") from error
        return status, body_in(answer)

    async def get(self, path: str, kind: Any, *, missing: bool = False) -> Any:
        """Return what is at a path as `kind`; `missing` lets it be the body of a 404. A busy server gets its time.

        Raises:
            LabError: it is not there, or is no such thing.
        """
        for _ in range(_BUSY_TRIES):
            status, body = await self.ask("GET", path)
            if status != 503:
                break
            await asyncio.sleep(_BUSY_PAUSE_SECONDS)
        if status != 200 and not (missing and status == 404):
            raise LabError(f"GET {path} was answered with {status}: {body[:200]!r}.")
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise LabError(f"GET {path} was answered as no Grandstand does ({error}): {body[:200]!r}.") from None

    async def _send(self, request: bytes) -> tuple[int, bytes]:
        client = self._client = self._client or await self._open()
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await client.ask(request)
        except BaseException:
            # An answer that comes later would be taken for that to the next question.
            self._close()
            raise

    async def _open(self) -> HttpClient:
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await HttpClient.open(self._host, self._port)
        except OSError as error:
            why = str(error) or f"no answer within {self._answer_seconds:.0f} s"
            raise LabError(f"The server at {self._host}:{self._port} cannot be reached: {why}.") from error

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

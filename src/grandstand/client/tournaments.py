"""Tournaments and prizes of one server, for commands."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import msgspec

from grandstand.client.connection import Connection, detail_of
from grandstand.client.errors import RefusedError, ServerError, UsageError

Json = dict[str, Any]

_PAGE = 1000
_REFUSALS = (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT, httpx.codes.GONE, httpx.codes.UNPROCESSABLE_ENTITY)


class CupClient:
    """Reads and changes tournaments and prizes.

    Every method raises `RefusedError` when the server does not want it, and `ServerError` when it does not answer.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tournaments(self, status: str | None) -> Iterator[Json]:
        """Yield the tournaments in the order of ids, page by page."""
        return self._list("/api/tournaments", "tournaments", {"status": status})

    def tournament(self, tournament_id: str, occurrence: int | None) -> Json:
        """Return one tournament."""
        return self._ask("GET", _path(tournament_id) + _query({"occurrence": occurrence}))

    def create(self, definition: Json) -> Json:
        """Create a tournament; return it.

        Raises:
            UsageError: the definition holds what JSON has not.
        """
        try:
            body = msgspec.json.encode(definition)
        except (TypeError, msgspec.EncodeError):
            raise UsageError("The file holds a value that JSON has not.") from None
        return self._ask("POST", "/api/tournaments", body)

    def cancel(self, tournament_id: str) -> Json:
        """Cancel what is not settled."""
        return self._ask("POST", _path(tournament_id, "/cancel"))

    def end(self, tournament_id: str) -> Json:
        """End the running occurrence now; it is settled when the grace is over."""
        return self._ask("POST", _path(tournament_id, "/end"))

    def preview(self, tournament_id: str, occurrence: int | None) -> Json:
        """Return who would get what if it were settled now."""
        return self._ask("GET", _path(tournament_id, "/settlement-preview") + _query({"occurrence": occurrence}))

    def prizes(self, filters: Mapping[str, str | None]) -> Iterator[Json]:
        """Yield the prizes in the order in which they were awarded, page by page."""
        return self._list("/api/prizes", "prizes", filters)

    def void(self, prize_id: str, reason: str | None) -> Json:
        """Void a prize that is not claimed."""
        return self._ask(
            "POST", f"/api/prizes/{quote(prize_id, safe='')}/void", msgspec.json.encode({"reason": reason})
        )

    def _list(self, path: str, name: str, filters: Mapping[str, str | None]) -> Iterator[Json]:
        cursor: str | None = None
        while True:
            page = self._ask("GET", path + _query({**filters, "limit": _PAGE, "cursor": cursor}))
            try:
                yield from page[name]
                cursor = page["next_cursor"]
            except (KeyError, TypeError):
                raise ServerError(f"What answers at {self._connection.url} is no Grandstand: check the URL.") from None
            if cursor is None:
                return

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Json:
        response = self._connection.request(method, path, body)
        if response.is_success:
            found: Json = self._connection.read(response, dict)
            return found
        if response.status_code in _REFUSALS:
            raise RefusedError(f"{detail_of(response)}.")
        raise self._connection.refusal(response)


def _path(tournament_id: str, suffix: str = "") -> str:
    return f"/api/tournaments/{quote(tournament_id, safe='')}{suffix}"


def _query(values: Mapping[str, object]) -> str:
    given = {name: value for name, value in values.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""

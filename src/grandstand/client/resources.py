"""What clients of one kind of thing share: lists read page by page, and answers or refusals."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import httpx

from grandstand.client.connection import Connection, detail_of
from grandstand.client.errors import RefusedError, ServerError

Json = dict[str, Any]

_PAGE = 1000
_REFUSALS = (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT, httpx.codes.GONE, httpx.codes.UNPROCESSABLE_ENTITY)


class Resources:
    """Asks one server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list_all(self, path: str, name: str, filters: Mapping[str, str | None]) -> Iterator[Json]:
        """Yield the things of a list, page by page.

        Raises:
            RefusedError, ServerError: as for `ask`.
        """
        cursor: str | None = None
        while True:
            page = self.ask("GET", path + query_of({**filters, "limit": _PAGE, "cursor": cursor}))
            try:
                yield from page[name]
                cursor = page["next_cursor"]
            except (KeyError, TypeError):
                raise ServerError(f"What answers at {self._connection.url} is no Grandstand: check the URL.") from None
            if cursor is None:
                return

    def ask(self, method: str, path: str, body: bytes | None = None) -> Json:
        """Send a request; return the object that answers it, empty where there is none.

        Raises:
            RefusedError: the server does not want it.
            ServerError: it does not answer.
        """
        response = self._connection.request(method, path, body)
        if response.status_code == httpx.codes.NO_CONTENT:
            return {}
        if response.is_success:
            found: Json = self._connection.read(response, dict)
            return found
        if response.status_code in _REFUSALS:
            raise RefusedError(f"{detail_of(response)}.")
        raise self._connection.refusal(response)


def query_of(values: Mapping[str, object]) -> str:
    """Return the query string of the values that are given."""
    given = {name: value for name, value in values.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""

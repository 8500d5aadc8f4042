"""Brings the leaderboards of a server in line with a file: what differs, and the requests that end it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import httpx
import msgspec

from grandstand.client.board_files import Definitions
from grandstand.client.connection import Connection, detail_of, problem_of
from grandstand.client.errors import ServerError
from grandstand.domain.leaderboards import GLOBAL_KEY, LeaderboardDefinition

PATH = "/api/leaderboards"
HAS_ENTRIES = "leaderboard_has_entries"
_FIELDS = LeaderboardDefinition.__struct_fields__

Kind = Literal["created", "changed", "unchanged", "deleted", "kept"]


@dataclass(frozen=True)
class Change:
    """What is to become of one board. `fields` are (name, before, after); `kept` is a board that the file has not."""

    key: str
    kind: Kind
    fields: tuple[tuple[str, Any, Any], ...] = ()


class _Listed(msgspec.Struct):
    leaderboards: list[dict[str, Any]]
    next_cursor: str | None = None


class BoardClient:
    """Reads and changes the definitions of one server. Every method raises `ServerError` when it does not answer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> Definitions:
        """Return every board of the server."""
        views: list[dict[str, Any]] = []
        path: str | None = PATH
        while path is not None:
            response = self._connection.request("GET", path)
            if response.status_code != httpx.codes.OK:
                raise self._error(response)
            listed: _Listed = self._connection.read(response, _Listed)
            views += listed.leaderboards
            path = None if listed.next_cursor is None else f"{PATH}?cursor={quote(listed.next_cursor, safe='')}"
        try:
            return {
                view["key"]: msgspec.convert(
                    {name: view[name] for name in _FIELDS if name in view}, LeaderboardDefinition
                )
                for view in views
            }
        except (KeyError, msgspec.ValidationError):
            raise ServerError(
                f"The server at {self._connection.url} has definitions that this version does not know."
            ) from None

    def apply(self, change: Change, definition: LeaderboardDefinition | None) -> httpx.Response | None:
        """Make one change; return the server's refusal when it does not want this one, else None.

        Raises:
            ServerError: no change would be made: the server is out of reach or refuses the key.
        """
        path = f"{PATH}/{quote(change.key, safe='')}"
        if definition is None:
            response = self._connection.request("DELETE", path)
        else:
            response = self._connection.request("PUT", path, msgspec.json.encode(definition))
        if response.is_success or (definition is None and response.status_code == httpx.codes.NOT_FOUND):
            return None
        if response.status_code in (httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY):
            return response
        raise self._error(response)

    def _error(self, response: httpx.Response) -> ServerError:
        if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED):
            return ServerError(f"What answers at {self._connection.url} has no leaderboards: check the URL.")
        return self._connection.refusal(response)


def compare(before: Mapping[str, LeaderboardDefinition], wanted: Definitions, *, prune: bool) -> Iterator[Change]:
    """Yield what is to become of each board, in the order of keys; `global` always stays."""
    for key in sorted({*before, *wanted}):
        if key not in wanted:
            yield Change(key, "deleted" if prune and key != GLOBAL_KEY else "kept")
        elif key not in before:
            yield Change(key, "created")
        else:
            fields = tuple(_differences(before[key], wanted[key]))
            yield Change(key, "changed" if fields else "unchanged", fields)


def refusal_text(response: httpx.Response) -> str:
    """Return the server's own sentence for why it refuses a change."""
    return f"{detail_of(response)}."


def is_about_entries(response: httpx.Response) -> bool:
    """Whether a change was refused because the rules would change under existing entries."""
    return problem_of(response).code == HAS_ENTRIES


def _differences(before: LeaderboardDefinition, after: LeaderboardDefinition) -> Iterator[tuple[str, Any, Any]]:
    one, other = msgspec.to_builtins(before), msgspec.to_builtins(after)
    for name in _FIELDS:
        # As JSON: to Python, a condition of 1 equals one of true.
        if msgspec.json.encode(one[name], order="sorted") != msgspec.json.encode(other[name], order="sorted"):
            yield name, one[name], other[name]

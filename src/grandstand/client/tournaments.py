"""Tournaments and prizes of one server, for commands."""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

import msgspec

from grandstand.client.errors import UsageError
from grandstand.client.resources import Json, Resources, query_of


class CupClient(Resources):
    """Reads and changes tournaments and prizes.

    Every method raises `RefusedError` when the server does not want it, and `ServerError` when it does not answer.
    """

    def tournaments(self, status: str | None) -> Iterator[Json]:
        """Yield the tournaments in the order of ids, page by page."""
        return self.list_all("/api/tournaments", "tournaments", {"status": status})

    def tournament(self, tournament_id: str, occurrence: int | None) -> Json:
        """Return one tournament."""
        return self.ask("GET", _path(tournament_id) + query_of({"occurrence": occurrence}))

    def create(self, definition: Json) -> Json:
        """Create a tournament; return it.

        Raises:
            UsageError: the definition holds what JSON has not.
        """
        try:
            body = msgspec.json.encode(definition)
        except (TypeError, msgspec.EncodeError):
            raise UsageError("The file holds a value that JSON has not.") from None
        return self.ask("POST", "/api/tournaments", body)

    def cancel(self, tournament_id: str) -> Json:
        """Cancel what is not settled."""
        return self.ask("POST", _path(tournament_id, "/cancel"))

    def end(self, tournament_id: str) -> Json:
        """End the running occurrence now; it is settled when the grace is over."""
        return self.ask("POST", _path(tournament_id, "/end"))

    def preview(self, tournament_id: str, occurrence: int | None) -> Json:
        """Return who would get what if it were settled now."""
        return self.ask("GET", _path(tournament_id, "/settlement-preview") + query_of({"occurrence": occurrence}))

    def prizes(self, filters: Mapping[str, str | None]) -> Iterator[Json]:
        """Yield the prizes in the order in which they were awarded, page by page."""
        return self.list_all("/api/prizes", "prizes", filters)

    def void(self, prize_id: str, reason: str | None) -> Json:
        """Void a prize that is not claimed."""
        return self.ask("POST", f"/api/prizes/{quote(prize_id, safe='')}/void", msgspec.json.encode({"reason": reason}))


def _path(tournament_id: str, suffix: str = "") -> str:
    return f"/api/tournaments/{quote(tournament_id, safe='')}{suffix}"

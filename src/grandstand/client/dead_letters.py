"""Dead letters of one server, for commands."""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

import msgspec

from grandstand.client.resources import Json, Resources

_PATH = "/api/dead-letters"


class DeadLetterClient(Resources):
    """Reads, replays and deletes dead letters.

    Every method raises `RefusedError` when the server does not want it, and `ServerError` when it does not answer.
    """

    def letters(self, filters: Mapping[str, str | None]) -> Iterator[Json]:
        """Yield the dead letters, the newest first, without their bodies."""
        return self.list_all(_PATH, "dead_letters", filters)

    def letter(self, letter_id: str) -> Json:
        """Return one with its body."""
        return self.ask("GET", _one(letter_id))

    def replay(self, letter_id: str) -> Json:
        """Send one event again; return its letter."""
        return self.ask("POST", _one(letter_id) + "/replay")

    def replay_some(self, filters: Mapping[str, str | None]) -> Json:
        """Send many events again; return how many, and how many remain."""
        given = {name: value for name, value in filters.items() if value is not None}
        return self.ask("POST", f"{_PATH}/replay", msgspec.json.encode(given))

    def delete(self, letter_id: str) -> None:
        """Delete one with its event."""
        self.ask("DELETE", _one(letter_id))


def _one(letter_id: str) -> str:
    return f"{_PATH}/{quote(letter_id, safe='')}"

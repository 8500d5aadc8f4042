"""The quarantine of one server, for commands."""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from grandstand.client.resources import Json, Resources

_PATH = "/api/quarantine"


class QuarantineClient(Resources):
    """Reads the quarantine and decides.

    Every method raises `RefusedError` when the server does not want it, and `ServerError` when it does not answer.
    """

    def events(self, filters: Mapping[str, str | None]) -> Iterator[Json]:
        """Yield the quarantined events, the newest first."""
        return self.list_all(_PATH, "quarantine", filters)

    def release(self, quarantine_id: str) -> Json:
        """Let one count; return how it stands."""
        return self.ask("POST", f"{_PATH}/{quote(quarantine_id, safe='')}/release")

    def reject(self, quarantine_id: str) -> Json:
        """Say that one never counts; return how it stands."""
        return self.ask("POST", f"{_PATH}/{quote(quarantine_id, safe='')}/reject")

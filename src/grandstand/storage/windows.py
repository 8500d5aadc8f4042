"""What every read of a ranking gives, whichever store answers it."""

from typing import NamedTuple

from grandstand.domain.ranking import Position


class IndexedEntry(NamedTuple):
    """One entry as it stands in its ranking; `metadata` is JSON text."""

    rank: int
    position: Position
    metadata: str | None = None


class Window(NamedTuple):
    """A stretch of a ranking, with the entry of one user asked for; None when that user is not ranked."""

    total: int
    own: IndexedEntry | None
    entries: list[IndexedEntry]

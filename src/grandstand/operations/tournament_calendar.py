"""A calendar of tournaments: occurrences that are made, and those that repeating ones are going to have."""

from datetime import datetime
from typing import Any, NamedTuple

from grandstand.domain.tournaments import Status, Window, next_window
from grandstand.operations.route_reads import Reads
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.tournaments import Tournament, TournamentStore

CALENDAR_MAX = 500
"""Occurrences of a calendar, those that are planned only included."""

_STEPS_MAX = 2_000
"""Occurrences ahead that are computed for one calendar: a tenth of a second."""


class CalendarEntry(NamedTuple):
    """An occurrence in a calendar. `status` is None for one that follows from `repeat` and is not made yet."""

    tournament_id: str
    title: str | None
    starts_at: datetime
    ends_at: datetime
    status: Status | None


class Calendar(NamedTuple):
    """Occurrences in the order of their starts; not `is_complete` when there are more than a calendar holds."""

    entries: list[CalendarEntry]
    is_complete: bool


class TournamentCalendar:
    """Makes calendars for one process. Raises `UnavailableError` without the database."""

    def __init__(self, database: Database | Reads, tournaments: TournamentStore) -> None:
        self._database = database
        self._tournaments = tournaments

    async def between(self, starts_at: datetime, ends_at: datetime) -> Calendar:
        """Return what takes place in [`starts_at`, `ends_at`), with what repeating tournaments are going to do then."""
        made, ahead = await self._database.read(lambda connection: self._find_all(connection, starts_at, ends_at))
        entries = [_entry(item) for item in made[:CALENDAR_MAX]]
        steps = _STEPS_MAX
        for item in ahead:
            planned, taken = _plan(item, starts_at, ends_at, steps)
            entries += planned
            steps -= taken
        is_complete = max(len(made), len(ahead), len(entries)) <= CALENDAR_MAX and steps > 0
        return Calendar(sorted(entries[:CALENDAR_MAX], key=lambda entry: entry.starts_at), is_complete)

    async def _find_all(
        self, connection: "Connection[Any]", starts_at: datetime, ends_at: datetime
    ) -> tuple[list[Tournament], list[Tournament]]:
        made = await self._tournaments.list_between(connection, starts_at, ends_at, CALENDAR_MAX + 1)
        return made, await self._tournaments.list_repeating(connection, ends_at, CALENDAR_MAX + 1)


def _entry(item: Tournament) -> CalendarEntry:
    return CalendarEntry(item.tournament_id, item.definition.title, item.starts_at, item.ends_at, item.status)


def _plan(item: Tournament, starts_at: datetime, ends_at: datetime, steps_max: int) -> tuple[list[CalendarEntry], int]:
    """Return what follows the newest occurrence that is made, as far as so many steps reach, and the steps taken."""
    planned: list[CalendarEntry] = []
    window: Window | None = Window(item.occurrence, item.starts_at, item.ends_at)
    for step in range(steps_max):
        window = None if window is None else next_window(item.definition, window)
        if window is None or window.starts_at >= ends_at:
            return planned, step
        if window.ends_at > starts_at:
            planned.append(
                CalendarEntry(item.tournament_id, item.definition.title, window.starts_at, window.ends_at, None)
            )
    return planned, steps_max

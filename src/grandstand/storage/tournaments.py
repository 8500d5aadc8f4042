"""The tables of tournaments, their occurrences, participants and standings."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

import msgspec

from grandstand.domain.tournaments import Status, TournamentDefinition, Window
from grandstand.storage import queries
from grandstand.storage.postgres import Connection, open_cursor


class Tournament(NamedTuple):
    """A tournament with one of its occurrences, and the rules of that one."""

    tournament_id: str
    leaderboard_id: int
    definition: TournamentDefinition
    created_at: datetime
    occurrence: int
    starts_at: datetime
    ends_at: datetime
    status: Status
    players: int
    settled_at: datetime | None
    is_cut: bool
    """Whether its end was moved to an earlier time."""
    next_starts_at: datetime | None
    """Start of the occurrence that is scheduled after this one."""


class DueStep(NamedTuple):
    """An occurrence whose next step was due at `due_at`."""

    due_at: datetime
    item: Tournament


class Participant(NamedTuple):
    """One player's part in an occurrence; `attempts` counts the scoring events that were taken."""

    user_id: str
    joined_at: datetime
    attempts: int


class TournamentStore:
    """Reads and writes tournaments; every method runs on the caller's connection."""

    async def insert(
        self,
        connection: "Connection[Any]",
        tournament_id: str,
        leaderboard_id: int,
        definition: TournamentDefinition,
        created_at: datetime,
    ) -> None:
        """Store a new tournament.

        Raises:
            asyncpg.UniqueViolationError: there is one with this id.
        """
        await connection.execute(
            queries.load("tournaments/insert.sql"), tournament_id, leaderboard_id, _json(definition), created_at
        )

    async def update(self, connection: "Connection[Any]", tournament_id: str, definition: TournamentDefinition) -> None:
        """Replace a tournament's definition."""
        await connection.execute(queries.load("tournaments/update.sql"), tournament_id, _json(definition))

    async def find(
        self, connection: "Connection[Any]", tournament_id: str, occurrence: int | None = None
    ) -> Tournament | None:
        """Return a tournament with one of its occurrences: the running one, else the next, else the last."""
        row = await connection.fetchrow(queries.load("tournaments/find.sql"), tournament_id, occurrence)
        return None if row is None else _tournament(row)

    async def list_all(
        self,
        connection: "Connection[Any]",
        status: Status | None,
        after_id: str,
        count_max: int,
        *,
        public_only: bool = False,
    ) -> list[Tournament]:
        """Return tournaments in the order of ids, each with the occurrence that `find` gives."""
        rows = await connection.fetch(queries.load("tournaments/list.sql"), after_id, status, count_max, public_only)
        return [_tournament(row) for row in rows]

    async def list_between(
        self, connection: "Connection[Any]", starts_at: datetime, ends_at: datetime, count_max: int
    ) -> list[Tournament]:
        """Return occurrences that overlap [`starts_at`, `ends_at`), in the order of their starts."""
        rows = await connection.fetch(queries.load("tournaments/list_between.sql"), starts_at, ends_at, count_max)
        return [_tournament(row) for row in rows]

    async def list_repeating(self, connection: "Connection[Any]", before: datetime, count_max: int) -> list[Tournament]:
        """Return tournaments that go on repeating with the newest occurrence that is made, if it starts by `before`."""
        rows = await connection.fetch(queries.load("tournaments/list_repeating.sql"), before, count_max)
        return [_tournament(row) for row in rows]

    async def find_open(self, connection: "Connection[Any]", tournament_id: str, now: datetime) -> Tournament | None:
        """Return a tournament with the occurrence that may be entered: the running one, else the next."""
        row = await connection.fetchrow(queries.load("tournaments/find_open.sql"), tournament_id, now)
        return None if row is None else _tournament(row)

    async def list_due(
        self, connection: "Connection[Any]", now: datetime, settle_by: datetime, count_max: int, skipped: int
    ) -> list[DueStep]:
        """Return occurrences with an overdue step in the order in which the steps were due, but for the first ones.

        What ended, grace included, by `settle_by` may be settled.
        """
        rows = await connection.fetch(queries.load("tournaments/list_due.sql"), now, settle_by, count_max, skipped)
        return [DueStep(row["due_at"], _tournament(row)) for row in rows]

    async def list_last_due(self, connection: "Connection[Any]", now: datetime) -> list[Tournament]:
        """Return overdue occurrences of repeating tournaments after which there is none yet."""
        return [_tournament(row) for row in await connection.fetch(queries.load("tournaments/list_last_due.sql"), now)]

    async def insert_occurrences(
        self, connection: "Connection[Any]", tournament_id: str, windows: Sequence[Window]
    ) -> bool:
        """Schedule occurrences, but for those that are there already; return whether any was new."""
        rows = await connection.fetch(
            queries.load("tournaments/insert_occurrences.sql"),
            tournament_id,
            [window.occurrence for window in windows],
            [window.starts_at for window in windows],
            [window.ends_at for window in windows],
        )
        return bool(rows)

    async def delete_ahead(self, connection: "Connection[Any]", tournament_id: str, occurrence: int) -> None:
        """Take back what is scheduled after an occurrence. Needs the ledger alone."""
        await connection.execute(queries.load("tournaments/delete_ahead.sql"), tournament_id, occurrence)

    async def move_occurrence(self, connection: "Connection[Any]", tournament_id: str, window: Window) -> None:
        """Change when an occurrence takes place. Needs the ledger alone."""
        await connection.execute(queries.load("tournaments/move_occurrence.sql"), tournament_id, *window)

    async def activate(self, connection: "Connection[Any]", item: Tournament) -> bool:
        """Let a scheduled occurrence begin, by the rules as they are now; False when it is not scheduled any more."""
        sql = queries.load("tournaments/activate.sql")
        return await connection.fetchval(sql, item.tournament_id, item.occurrence) is not None

    async def set_rules(
        self, connection: "Connection[Any]", item: Tournament, definition: TournamentDefinition
    ) -> None:
        """Replace the rules of an occurrence that has begun."""
        await connection.execute(
            queries.load("tournaments/set_rules.sql"), item.tournament_id, item.occurrence, _json(definition)
        )

    async def has_attempts(self, connection: "Connection[Any]", tournament_id: str, occurrence: int) -> bool:
        """Return whether anybody has scored in an occurrence."""
        sql = queries.load("tournaments/has_attempts.sql")
        return bool(await connection.fetchval(sql, tournament_id, occurrence))

    async def cancel(self, connection: "Connection[Any]", tournament_id: str) -> None:
        """Cancel every occurrence that is not settled."""
        await connection.execute(queries.load("tournaments/cancel.sql"), tournament_id)

    async def lock(self, connection: "Connection[Any]", tournament_id: str, occurrence: int) -> tuple[Status, int]:
        """Lock an occurrence until the transaction ends; return its status and how many players it has."""
        row = await connection.fetchrow(queries.load("tournaments/lock_occurrence.sql"), tournament_id, occurrence)
        if row is None:
            raise RuntimeError(f"The tournament {tournament_id!r} has no occurrence {occurrence}.")
        return cast("Status", row["status"]), row["players"]

    async def publish_windows(
        self, connection: "Connection[Any]", tournament_id: str, leaderboard_id: int, revision: int
    ) -> None:
        """Let workers know which occurrences take scores. Needs the ledger alone and a revision from it."""
        rows = await connection.fetch(queries.load("tournaments/list_open_windows.sql"), tournament_id)
        windows = [Window(row["occurrence"], row["starts_at"], row["ends_at"]) for row in rows]
        await connection.execute(
            queries.load("tournaments/set_windows.sql"),
            leaderboard_id,
            msgspec.json.encode(windows).decode(),
            revision,
        )

    async def add_participants(
        self,
        connection: "Connection[Any]",
        tournament_id: str,
        occurrence: int,
        user_ids: Sequence[str],
        joined_at: datetime,
    ) -> list[str]:
        """Add participants and count them; return those who were not there before."""
        rows = await connection.fetch(
            queries.load("tournaments/insert_participants.sql"), tournament_id, occurrence, user_ids, joined_at
        )
        if rows:
            await connection.execute(queries.load("tournaments/add_players.sql"), tournament_id, occurrence, len(rows))
        return [row["user_id"] for row in rows]

    async def known_participants(
        self, connection: "Connection[Any]", tournament_id: str, occurrence: int, user_ids: Sequence[str]
    ) -> set[str]:
        """Return those of the users who take part."""
        rows = await connection.fetch(
            queries.load("tournaments/find_participants.sql"), tournament_id, occurrence, user_ids
        )
        return {row["user_id"] for row in rows}

    async def lock_participants(
        self, connection: "Connection[Any]", tournament_id: str, occurrence: int, user_ids: Sequence[str]
    ) -> dict[str, int]:
        """Lock participants until the transaction ends; return the attempts of those who are there."""
        rows = await connection.fetch(
            queries.load("tournaments/lock_participants.sql"), tournament_id, occurrence, user_ids
        )
        return {row["user_id"]: row["attempts"] for row in rows}

    async def list_participants(
        self, connection: "Connection[Any]", item: Tournament, user_ids: Sequence[str]
    ) -> list[Participant]:
        """Return the parts that some players have in an occurrence."""
        sql = queries.load("tournaments/list_participants.sql")
        return [Participant(*row) for row in await connection.fetch(sql, item.tournament_id, item.occurrence, user_ids)]

    async def set_attempts(self, connection: "Connection[Any]", item: Tournament, attempts: Mapping[str, int]) -> None:
        """Correct how many attempts players have taken. Needs the ledger alone."""
        await _change_attempts(
            connection, "tournaments/set_attempts.sql", item.tournament_id, item.occurrence, attempts
        )

    async def remove_participant(self, connection: "Connection[Any]", user_id: str) -> None:
        """Take a player out of every occurrence that is not settled. Needs the ledger alone."""
        await connection.execute(queries.load("tournaments/remove_participant.sql"), user_id)

    async def add_attempts(
        self, connection: "Connection[Any]", tournament_id: str, occurrence: int, attempts: Mapping[str, int]
    ) -> None:
        """Count attempts, user → how many more."""
        await _change_attempts(connection, "tournaments/add_attempts.sql", tournament_id, occurrence, attempts)

    async def find_participant(
        self, connection: "Connection[Any]", tournament_id: str, occurrence: int, user_id: str
    ) -> Participant | None:
        """Return a player's part in an occurrence."""
        row = await connection.fetchrow(
            queries.load("tournaments/find_participant.sql"), tournament_id, occurrence, user_id
        )
        return None if row is None else Participant(*row)

    async def end_all(
        self, connection: "Connection[Any]", items: Sequence[Tournament], now: datetime
    ) -> set[tuple[str, int]]:
        """End those of some running occurrences that are over by now; return their (tournament, occurrence) pairs."""
        rows = await connection.fetch(
            queries.load("tournaments/end.sql"),
            [item.tournament_id for item in items],
            [item.occurrence for item in items],
            now,
        )
        return {(row["tournament_id"], row["occurrence"]) for row in rows}

    async def settle(self, connection: "Connection[Any]", item: Tournament, now: datetime) -> bool:
        """Lock an occurrence that has ended until the transaction ends, and make it settled; False when it is not."""
        sql = queries.load("tournaments/settle.sql")
        return await connection.fetchval(sql, item.tournament_id, item.occurrence, now) is not None

    async def write_standings(
        self,
        connection: "Connection[Any]",
        item: Tournament,
        ranking_id: int,
        direction: int,
        *,
        timeout_seconds: float,
        rows_at_once: int,
    ) -> int:
        """Freeze the ranks of an occurrence; return how many players are ranked.

        PostgreSQL sorts once, which may take `timeout_seconds`, and then writes so many rows with each statement.
        """
        ranked = await open_cursor(
            connection,
            queries.load("tournaments/rank_entries.sql"),
            ranking_id,
            direction,
            timeout_seconds=timeout_seconds,
        )
        count = 0
        while rows := await ranked.fetch(rows_at_once, timeout=timeout_seconds):
            await connection.execute(
                queries.load("tournaments/insert_standings.sql"),
                item.tournament_id,
                item.occurrence,
                [row["rank"] for row in rows],
                [row["user_id"] for row in rows],
                [row["score"] for row in rows],
                [row["achieved_at"] for row in rows],
            )
            count += len(rows)
            if len(rows) < rows_at_once:
                break
        return count


def _json(definition: TournamentDefinition) -> str:
    return msgspec.json.encode(definition).decode()


def _tournament(row: Any) -> Tournament:
    definition = msgspec.json.decode(row["definition"], type=TournamentDefinition)
    return Tournament(row["tournament_id"], row["leaderboard_id"], definition, *tuple(row)[3:12])


async def _change_attempts(
    connection: "Connection[Any]", name: str, tournament_id: str, occurrence: int, attempts: Mapping[str, int]
) -> None:
    """Run an update for all players of each number of attempts, of which there are few.

    As one update, joined with the players' numbers, PostgreSQL went through all participants of an occurrence for each
    player of a batch, until it had statistics of the occurrence.
    """
    players: dict[int, list[str]] = defaultdict(list)
    for user_id, number in attempts.items():
        players[number].append(user_id)
    await connection.executemany(
        queries.load(name), [(tournament_id, occurrence, user_ids, number) for number, user_ids in players.items()]
    )

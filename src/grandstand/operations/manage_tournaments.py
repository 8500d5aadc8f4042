"""Makes, changes, ends and cancels tournaments."""

from datetime import datetime
from typing import Any

import asyncpg
import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.errors import ConflictError, FieldError, InvalidError
from grandstand.domain.leaderboards import tournament_key
from grandstand.domain.rankings import RankingName
from grandstand.domain.tournaments import TournamentDefinition, Window, next_window
from grandstand.operations.audit import record
from grandstand.operations.begin_occurrence import begin_occurrence
from grandstand.operations.find_tournament import find_open_tournament, find_tournament
from grandstand.operations.tournament_bodies import apply_patch, read_new_tournament, read_patch
from grandstand.operations.tournament_views import TournamentView, tournament_view
from grandstand.storage.changes import Changes
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.ledger import Ledger
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.rankings import RankingStore
from grandstand.storage.tournaments import Tournament, TournamentStore

_log = structlog.get_logger(__name__)


class TournamentKeeper:
    """Changes tournaments for one process. Every method raises `UnavailableError` without the database."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        leaderboards: LeaderboardStore,
        rankings: RankingStore,
        tournaments: TournamentStore,
        outbox: Outbox,
        changes: Changes,
        *,
        grace_seconds: int,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._leaderboards = leaderboards
        self._rankings = rankings
        self._tournaments = tournaments
        self._outbox = outbox
        self._changes = changes
        self._grace_seconds = grace_seconds

    async def create(self, body: bytes) -> TournamentView:
        """Create a tournament; one that has begun already takes scores at once, and is active within a moment.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a wrong value.
            ConflictError: `tournament_exists` when there is one with this id.
        """
        now = clock.now()
        tournament_id, definition = read_new_tournament(body, now)
        window = Window(1, definition.starts_at, definition.ends_at)
        try:
            async with self._database.transaction() as connection:
                await self._ledger.seize(connection)
                revision = await self._ledger.next_leaderboards_revision(connection)
                board = await self._leaderboards.insert(
                    connection,
                    tournament_key(tournament_id),
                    definition.board(),
                    revision,
                    grace_seconds=self._grace_seconds,
                )
                await self._tournaments.insert(connection, tournament_id, board.leaderboard_id, definition, now)
                await self._tournaments.insert_occurrences(connection, tournament_id, [window])
                await self._tournaments.publish_windows(connection, tournament_id, board.leaderboard_id, revision)
                item = await find_tournament(self._tournaments, connection, tournament_id)
                await record(connection, "tournament.create", tournament_id, after=definition)
        except asyncpg.UniqueViolationError:
            raise ConflictError("tournament_exists", f"There is a tournament {tournament_id!r} already.") from None
        await self._announce()
        return tournament_view(item)

    async def check(self, tournament_id: str | None, body: bytes) -> None:
        """Raise what `create`, or `change` of a tournament, would say of the values of a body; nothing is changed.

        Raises:
            MalformedError, InvalidError, NotFoundError, ConflictError: as those do.
        """
        now = clock.now()
        if tournament_id is None:
            wanted, _ = read_new_tournament(body, now)
            async with self._database.connection() as connection:
                if await self._tournaments.find(connection, wanted) is not None:
                    raise ConflictError("tournament_exists", f"There is a tournament {wanted!r} already.")
            return
        patch = read_patch(body)
        async with self._database.connection() as connection:
            item = await find_open_tournament(self._tournaments, connection, tournament_id, now)
        apply_patch(item, patch, now)

    async def change(self, tournament_id: str, body: bytes) -> TournamentView:
        """Change a tournament before its end: fields that are given, the others stay.

        It is the running occurrence that changes, and all that follow; when none is running, those that follow. What
        decides scores never changes, and the start only while it lies ahead.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a wrong value, or one that may not change any more.
            NotFoundError: `tournament_not_found`.
            ConflictError: `tournament_over` after the end; `tournament_has_scores`, a start would move under scores.
        """
        patch = read_patch(body)
        now = clock.now()
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            item = await find_open_tournament(self._tournaments, connection, tournament_id, now)
            before = tournament_view(item)
            definition = apply_patch(item, patch, now)
            await self._tournaments.update(connection, tournament_id, definition)
            if item.status == "active":
                await self._tournaments.set_rules(connection, item, definition)
            window = Window(item.occurrence, definition.starts_at, definition.ends_at)
            if window != (item.occurrence, item.starts_at, item.ends_at):
                await self._move(connection, item, window)
            await self._reschedule(connection, item, definition)
            await self._publish(connection, item)
            item = await find_tournament(self._tournaments, connection, tournament_id, item.occurrence)
            await record(connection, "tournament.change", tournament_id, before=before, after=tournament_view(item))
        await self._announce()
        return tournament_view(item)

    async def end(self, tournament_id: str) -> TournamentView:
        """End the running occurrence now instead of at its `ends_at`; settlement follows.

        One that the scheduler is about to begin is running already: its scores count from its start on.

        Raises:
            NotFoundError: `tournament_not_found`.
            ConflictError: `tournament_not_active` when none is running.
        """
        now = clock.now()
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            item = await find_tournament(self._tournaments, connection, tournament_id)
            if item.status not in ("scheduled", "active") or now <= item.starts_at:
                raise ConflictError("tournament_not_active", f"The tournament {tournament_id!r} is {item.status}.")
            before = tournament_view(item)
            if item.status == "scheduled":
                await begin_occurrence(connection, self._ledger, self._tournaments, self._outbox, item)
            await self._move(connection, item, Window(item.occurrence, item.starts_at, min(now, item.ends_at)))
            await self._tournaments.end_all(connection, [item], now)
            await self._publish(connection, item)
            item = await find_tournament(self._tournaments, connection, tournament_id, item.occurrence)
            await record(connection, "tournament.end", tournament_id, before=before, after=tournament_view(item))
        await self._announce()
        return tournament_view(item)

    async def cancel(self, tournament_id: str) -> TournamentView:
        """Cancel what is not settled: the running occurrence and those ahead. Nobody gets a prize.

        Raises:
            NotFoundError: `tournament_not_found`.
            ConflictError: `tournament_settled` when nothing is left to cancel.
        """
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            item = await find_tournament(self._tournaments, connection, tournament_id)
            if item.status in ("settled", "cancelled"):
                raise ConflictError("tournament_settled", f"The tournament {tournament_id!r} is {item.status}.")
            await self._tournaments.cancel(connection, tournament_id)
            await self._publish(connection, item)
            before = tournament_view(item)
            item = await find_tournament(self._tournaments, connection, tournament_id, item.occurrence)
            await record(connection, "tournament.cancel", tournament_id, before=before, after=tournament_view(item))
        await self._announce()
        return tournament_view(item)

    async def _reschedule(
        self, connection: "Connection[Any]", item: Tournament, definition: TournamentDefinition
    ) -> None:
        """Let the occurrence after this one follow from the changed definition: two never overlap.

        Who has entered it stays. Of those after it there is none yet, but for a moment after a time without scheduler.
        """
        following = next_window(definition, Window(item.occurrence, definition.starts_at, definition.ends_at))
        held = await self._tournaments.find(connection, item.tournament_id, item.occurrence + 1)
        if held is None:
            # Made when this one begins.
            if following is not None and item.status == "active":
                await self._tournaments.insert_occurrences(connection, item.tournament_id, [following])
            return
        if following is None:
            await self._tournaments.delete_ahead(connection, item.tournament_id, item.occurrence)
        elif following != (held.occurrence, held.starts_at, held.ends_at):
            await self._tournaments.delete_ahead(connection, item.tournament_id, held.occurrence)
            await self._move(connection, held, following)

    async def _publish(self, connection: "Connection[Any]", item: Tournament) -> None:
        revision = await self._ledger.next_leaderboards_revision(connection)
        await self._tournaments.publish_windows(connection, item.tournament_id, item.leaderboard_id, revision)

    async def _move(self, connection: "Connection[Any]", item: Tournament, window: Window) -> None:
        """Change when an occurrence takes place. Its scores stand under its start, so that stays once there are any."""
        if window.starts_at != item.starts_at:
            await self._check_start(connection, item, window.starts_at)
        await self._tournaments.move_occurrence(connection, item.tournament_id, window)
        board = await self._leaderboards.find(connection, tournament_key(item.tournament_id))
        if board is None:
            raise RuntimeError(f"The tournament {item.tournament_id!r} has no board.")
        name = RankingName(item.leaderboard_id, board.epoch, item.starts_at)
        await self._rankings.move_end(connection, name, window.ends_at)

    async def _check_start(self, connection: "Connection[Any]", item: Tournament, starts_at: datetime) -> None:
        previous = await self._tournaments.find(connection, item.tournament_id, item.occurrence - 1)
        if previous is not None and starts_at < previous.ends_at:
            message = f"must not be before the end of the occurrence before it, {previous.ends_at.isoformat()}"
            raise InvalidError([FieldError("starts_at", message)])
        if await self._tournaments.has_attempts(connection, item.tournament_id, item.occurrence):
            raise ConflictError(
                "tournament_has_scores",
                f"Somebody has scored in occurrence {item.occurrence} of {item.tournament_id!r}: its start stays.",
            )

    async def _announce(self) -> None:
        try:
            await self._changes.leaderboards()
            await self._changes.periods()
        except (ValkeyError, OSError) as error:
            _log.warning("change_not_announced", error=str(error))

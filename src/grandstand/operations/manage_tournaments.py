"""Makes, changes, joins, ends and cancels tournaments."""

from datetime import datetime
from typing import Any

import asyncpg
import msgspec
import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.errors import ConflictError, FieldError, InvalidError, MalformedError, NotFoundError, field_error
from grandstand.domain.event_model import is_user_id
from grandstand.domain.ids import new_ids
from grandstand.domain.leaderboards import tournament_key
from grandstand.domain.rankings import RankingName
from grandstand.domain.tournaments import (
    Status,
    TournamentDefinition,
    Window,
    check_tournament,
    check_tournament_id,
    is_tournament_id,
    next_window,
)
from grandstand.operations.tournament_views import ParticipantView, TournamentList, TournamentView, tournament_view
from grandstand.storage.bans import BanStore
from grandstand.storage.changes import Changes
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.rankings import RankingStore
from grandstand.storage.tournaments import Tournament, TournamentStore

LIST_MAX = 1000
_NEVER_CHANGES = ("event_type", "field", "where", "operator", "order")
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
        bans: BanStore,
        changes: Changes,
        *,
        grace_seconds: int,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._leaderboards = leaderboards
        self._rankings = rankings
        self._tournaments = tournaments
        self._bans = bans
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
        tournament_id, definition = _read_new(body, now)
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
                await self._tournaments.insert(connection, tournament_id, board.leaderboard_id, definition)
                await self._tournaments.insert_occurrence(connection, tournament_id, window, "scheduled")
                await self._tournaments.publish_windows(connection, tournament_id, board.leaderboard_id, revision)
                item = await self._find(connection, tournament_id)
        except asyncpg.UniqueViolationError:
            raise ConflictError("tournament_exists", f"There is a tournament {tournament_id!r} already.") from None
        await self._announce()
        return tournament_view(item)

    async def get(self, tournament_id: str, occurrence: int | None = None) -> TournamentView:
        """Return a tournament with its running occurrence, or a named one.

        Raises:
            NotFoundError: `tournament_not_found`.
        """
        async with self._database.connection() as connection:
            return tournament_view(await self._find(connection, tournament_id, occurrence))

    async def list(
        self, status: str | None, *, limit: int, cursor: str | None, public_only: bool = False
    ) -> TournamentList:
        """Return tournaments in the order of ids: all, or those that everyone may see.

        Raises:
            InvalidError: an unknown status, a limit out of range, or a text that is no cursor.
        """
        if status is not None and status not in Status.__args__:  # type: ignore[attr-defined]
            raise InvalidError([FieldError("status", "must be scheduled, active, ended, settled or cancelled")])
        if not 1 <= limit <= LIST_MAX:
            raise InvalidError([FieldError("limit", f"must be between 1 and {LIST_MAX}")])
        if cursor is not None and not is_tournament_id(cursor):
            raise InvalidError([FieldError("cursor", "is not a cursor of this list; begin again without one")])
        async with self._database.connection() as connection:
            items = await self._tournaments.list_all(
                connection,
                status,  # type: ignore[arg-type]
                cursor or "",
                limit + 1,
                public_only=public_only,
            )
        return TournamentList(
            tournaments=[tournament_view(item) for item in items[:limit]],
            next_cursor=items[limit - 1].tournament_id if len(items) > limit else None,
        )

    async def change(self, tournament_id: str, body: bytes) -> TournamentView:
        """Change a tournament before its end: fields that are given, the others stay.

        What decides scores never changes, and the start only while it lies ahead.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a wrong value, or one that may not change any more.
            NotFoundError: `tournament_not_found`.
            ConflictError: `tournament_over` after the end.
        """
        patch = _read_patch(body)
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            item = await self._find(connection, tournament_id)
            if item.status not in ("scheduled", "active"):
                raise ConflictError("tournament_over", f"The tournament {tournament_id!r} is {item.status}.")
            definition = _apply(item, patch, clock.now())
            await self._tournaments.update(connection, tournament_id, definition)
            if "starts_at" in patch or "ends_at" in patch:
                window = Window(item.occurrence, definition.starts_at, definition.ends_at)
                await self._tournaments.move_occurrence(connection, tournament_id, window)
                await self._move_end(connection, item, window)
            await self._reschedule(connection, item, definition)
            await self._publish(connection, item)
            item = await self._find(connection, tournament_id, item.occurrence)
        await self._announce()
        return tournament_view(item)

    async def join(self, tournament_id: str, user_id: str) -> ParticipantView:
        """Enter a player; entering twice is the same as once.

        Raises:
            InvalidError: a wrong user id.
            NotFoundError: `tournament_not_found`.
            ConflictError: `tournament_full`, `tournament_over` after the end, `player_banned`.
        """
        if not is_user_id(user_id):
            raise InvalidError([FieldError("user_id", "must be 1 to 255 characters without control characters")])
        now = clock.now()
        async with self._database.transaction() as connection:
            item = await self._find(connection, tournament_id)
            status, players = await self._tournaments.lock(connection, tournament_id, item.occurrence)
            if status not in ("scheduled", "active") or now >= item.ends_at:
                raise ConflictError("tournament_over", f"The tournament {tournament_id!r} is over.")
            if await self._bans.find(connection, [user_id]):
                raise ConflictError("player_banned", "This player is banned.")
            known = await self._tournaments.find_participant(connection, tournament_id, item.occurrence, user_id)
            if known is None:
                most = item.definition.max_players
                if most is not None and players >= most:
                    raise ConflictError("tournament_full", f"The tournament {tournament_id!r} has {most} players.")
                await self._tournaments.add_participants(connection, tournament_id, item.occurrence, [user_id], now)
                known = await self._tournaments.find_participant(connection, tournament_id, item.occurrence, user_id)
        if known is None:
            raise RuntimeError("A participant was added and is not there.")
        return ParticipantView(
            tournament_id=tournament_id,
            occurrence=item.occurrence,
            user_id=user_id,
            joined_at=known.joined_at,
            attempts=known.attempts,
        )

    async def end(self, tournament_id: str) -> TournamentView:
        """End the running occurrence now instead of at its `ends_at`; settlement follows.

        Raises:
            NotFoundError: `tournament_not_found`.
            ConflictError: `tournament_not_active` when none is running.
        """
        now = clock.now()
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            item = await self._find(connection, tournament_id)
            if item.status != "active" or now <= item.starts_at:
                raise ConflictError("tournament_not_active", f"The tournament {tournament_id!r} is {item.status}.")
            window = Window(item.occurrence, item.starts_at, min(now, item.ends_at))
            await self._tournaments.move_occurrence(connection, tournament_id, window)
            await self._move_end(connection, item, window)
            await self._tournaments.step(connection, item, "ended")
            await self._publish(connection, item)
            item = await self._find(connection, tournament_id, item.occurrence)
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
            item = await self._find(connection, tournament_id)
            if item.status in ("settled", "cancelled"):
                raise ConflictError("tournament_settled", f"The tournament {tournament_id!r} is {item.status}.")
            await self._tournaments.cancel(connection, tournament_id)
            await self._publish(connection, item)
            item = await self._find(connection, tournament_id, item.occurrence)
        await self._announce()
        return tournament_view(item)

    async def _reschedule(
        self, connection: "Connection[Any]", item: Tournament, definition: TournamentDefinition
    ) -> None:
        """Let the occurrence after a running one follow from the changed definition: two never overlap."""
        if item.status != "active":
            return
        await self._tournaments.delete_ahead(connection, item.tournament_id, item.occurrence)
        following = next_window(definition, Window(item.occurrence, definition.starts_at, definition.ends_at))
        if following is not None:
            await self._tournaments.insert_occurrence(connection, item.tournament_id, following, "scheduled")

    async def _publish(self, connection: "Connection[Any]", item: Tournament) -> None:
        revision = await self._ledger.next_leaderboards_revision(connection)
        await self._tournaments.publish_windows(connection, item.tournament_id, item.leaderboard_id, revision)

    async def _move_end(self, connection: "Connection[Any]", item: Tournament, window: Window) -> None:
        board = await self._leaderboards.find(connection, tournament_key(item.tournament_id))
        if board is None:
            raise RuntimeError(f"The tournament {item.tournament_id!r} has no board.")
        name = RankingName(item.leaderboard_id, board.epoch, item.starts_at)
        await self._rankings.move_end(connection, name, window.ends_at)

    async def _find(
        self, connection: "Connection[Any]", tournament_id: str, occurrence: int | None = None
    ) -> Tournament:
        item = None
        if "\x00" not in tournament_id:
            item = await self._tournaments.find(connection, tournament_id, occurrence)
        if item is not None:
            return item
        if occurrence is not None:
            await self._find(connection, tournament_id)
            raise NotFoundError("occurrence_not_found", f"This tournament has no occurrence {occurrence}.")
        raise NotFoundError("tournament_not_found", f"There is no tournament {tournament_id!r}.")

    async def _announce(self) -> None:
        try:
            await self._changes.leaderboards()
            await self._changes.periods()
        except (ValkeyError, OSError) as error:
            _log.warning("change_not_announced", error=str(error))


def _read_new(body: bytes, now: datetime) -> tuple[str, TournamentDefinition]:
    document = _decode(body)
    tournament_id = document.pop("id", None)
    if tournament_id is None:
        tournament_id = new_ids(1, now)[0].hex
    if not isinstance(tournament_id, str):
        raise InvalidError([FieldError("id", "must be a text")])
    check_tournament_id(tournament_id)
    definition = _convert(document)
    check_tournament(definition, now)
    return tournament_id, definition


def _read_patch(body: bytes) -> dict[str, Any]:
    patch = _decode(body)
    unknown = sorted(set(patch) - set(TournamentDefinition.__struct_fields__))
    if unknown:
        raise InvalidError([FieldError(unknown[0], "is no field of a tournament")])
    return patch


def _apply(item: Tournament, patch: dict[str, Any], now: datetime) -> TournamentDefinition:
    held = msgspec.structs.replace(item.definition, starts_at=item.starts_at, ends_at=item.ends_at)
    definition = _convert({**msgspec.to_builtins(held), **patch})
    errors = [
        FieldError(name, "cannot change: it decides scores")
        for name in _NEVER_CHANGES
        if getattr(definition, name) != getattr(held, name)
    ]
    if definition.starts_at != held.starts_at and (item.status != "scheduled" or item.starts_at <= now):
        errors.append(FieldError("starts_at", "cannot change after the start"))
    if errors:
        raise InvalidError(errors)
    check_tournament(definition, now)
    return definition


def _decode(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        raise MalformedError("The body is not valid JSON.") from None
    if not isinstance(document, dict):
        raise InvalidError([FieldError("$", "must be an object")])
    return document


def _convert(document: dict[str, Any]) -> TournamentDefinition:
    if document.get("prizes", ()) is None:
        document = {**document, "prizes": []}
    try:
        return msgspec.convert(document, TournamentDefinition)
    except msgspec.ValidationError as error:
        raise InvalidError([field_error(str(error))]) from None

"""Recomputes a board from its events, under its own or a new rule, and swaps the outcome in at once.

    1. With the ledger alone: take a snapshot of the events, and from then on let workers feed a new epoch too.
    2. Without it: read the snapshot's events, from the table and from archives, and fold them into the new epoch. Folds
       do not mind the order, so what workers add meanwhile and what the replay adds come to the same as one after the
       other.
    3. With the ledger alone: put the rule and the epoch in force. Readers change over in one step.

Periods that are archived stay as they are, and no event counts a second time: a replay covers what occurred after the
end of the newest of them, which is where the new epoch begins.
"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import msgspec
import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.errors import ConflictError, NotFoundError, UnavailableError
from grandstand.domain.event_model import stored_event
from grandstand.domain.leaderboards import Leaderboard, LeaderboardDefinition
from grandstand.domain.rankings import WHOLE, RankingName
from grandstand.domain.scoring import DIRECT_EVENT_TYPE, ScoringRule, is_direct_write_to
from grandstand.operations.audit import record
from grandstand.operations.catalog import ScoredBoard
from grandstand.operations.fold_scores import ScoreFolder
from grandstand.operations.score_events import Scored, score_event
from grandstand.storage.archive_reader import ArchivedEvents
from grandstand.storage.changes import Changes
from grandstand.storage.entries import EntryStore, Move
from grandstand.storage.event_log import EventLog
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore

_CHUNK_EVENTS = 5_000
_CONNECTIONS = 2
"""One holds the snapshot, the other changes something."""

_MOVES_MAX = 100
_READ_TIMEOUT_SECONDS = 24 * 3600.0
_decode_payload = msgspec.json.Decoder().decode
_log = structlog.get_logger(__name__)


class Replay(msgspec.Struct, kw_only=True):
    """What a replay came to: the events read, and who of the running period stands or scores differently."""

    leaderboard: str
    events: int
    moved: int
    moves: list[Move]
    is_in_force: bool


class LeaderboardReplayer:
    """Replays boards. One replay a board at a time."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        store: LeaderboardStore,
        rankings: RankingStore,
        entries: EntryStore,
        event_log: EventLog,
        archived: ArchivedEvents,
        folder: ScoreFolder,
        index: RankingIndex,
        changes: Changes,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._store = store
        self._rankings = rankings
        self._entries = entries
        self._event_log = event_log
        self._archived = archived
        self._folder = folder
        self._index = index
        self._changes = changes

    async def replay(
        self,
        key: str,
        definition: LeaderboardDefinition | None,
        *,
        dry_run: bool,
        on_events: Callable[[int], None] | None = None,
    ) -> Replay:
        """Recompute a board; put the outcome in force unless `dry_run`.

        `on_events` is told now and then how many events have been read.

        Raises:
            NotFoundError: `leaderboard_not_found`.
            ConflictError: `replay_under_way` when another one is, `leaderboard_changed` when the board was reset or
                redefined meanwhile.
            UnavailableError: the database is out of reach, or archived events are; what was made is given up at the
                next replay. Or this process may have one connection only.
        """
        if self._database.connections_max < _CONNECTIONS:
            # It would wait for itself, with the ledger held.
            raise UnavailableError("A replay needs two connections: raise GRANDSTAND_DATABASE_POOL_MAX.")
        async with AsyncExitStack() as stack:
            board, snapshot = await self._begin(key, definition, stack)
            pending = board.pending
            if pending is None:
                raise RuntimeError("A replay has begun without a pending rule.")
            try:
                events = await self._copy(pending, snapshot, on_events)
                moved, moves = await self._compare(board, pending)
                if not dry_run:
                    await self._swap(board, pending)
            except BaseException:
                await self._give_up(board, pending)
                raise
            if dry_run:
                await self._give_up(board, pending)
        try:
            await self._changes.leaderboards()
            await self._changes.periods()
        except (ValkeyError, OSError) as error:
            # The swap stands; processes look for changes by themselves every few seconds.
            _log.warning("replay_not_announced", error=str(error))
        return Replay(leaderboard=key, events=events, moved=moved, moves=moves, is_in_force=not dry_run)

    async def _begin(
        self, key: str, definition: LeaderboardDefinition | None, stack: AsyncExitStack
    ) -> "tuple[Leaderboard, Connection[Any]]":
        async with self._database.transaction() as connection:
            # While one session has this lock no other replay of the board runs; it goes with the session.
            await self._ledger.seize(connection)
            board = await self._store.find(connection, key)
            if board is None:
                raise NotFoundError("leaderboard_not_found", f"There is no leaderboard {key!r}.")
            # Batches wait, so this snapshot holds every event that was stored before workers feed the new epoch.
            snapshot = await stack.enter_async_context(self._database.snapshot())
            await self._event_log.hold(snapshot)
            if not await self._ledger.try_claim(snapshot, f"replay {board.leaderboard_id}"):
                raise ConflictError("replay_under_way", f"The leaderboard {key!r} is being replayed already.")
            if board.pending is not None:
                await self._rankings.drop_epoch(connection, board.leaderboard_id, board.pending.epoch)
            epoch = await self._store.new_epoch(connection)
            revision = await self._ledger.next_leaderboards_revision(connection)
            rule = board.definition if definition is None else definition
            began_at = await self._rankings.newest_archive_end(connection, board.leaderboard_id)
            board = await self._store.set_pending(connection, board.leaderboard_id, (rule, epoch, began_at), revision)
        return board, snapshot

    async def _copy(
        self,
        pending: Leaderboard,
        snapshot: "Connection[Any]",
        on_events: Callable[[int], None] | None,
    ) -> int:
        """Fold every event of the snapshot that counts there into the new epoch; return how many were read."""
        scored_board = ScoredBoard(pending, ScoringRule(pending.definition))
        types = [pending.definition.event_type, DIRECT_EVENT_TYPE]
        count = 0
        # What is quarantined is left out as of the snapshot: what is released later is folded into this epoch, too.
        async for rows in self._event_log.read_types(
            snapshot, types, pending.leaderboard_id, chunk_events=_CHUNK_EVENTS, timeout_seconds=_READ_TIMEOUT_SECONDS
        ):
            count = await self._take(scored_board, rows, count, on_events)
        async for chunk in self._archived.of_types(snapshot, types, pending.leaderboard_id):
            count = await self._take(scored_board, chunk, count, on_events)
        return count

    async def _take(
        self, target: ScoredBoard, rows: Sequence[Any], count: int, on_events: Callable[[int], None] | None
    ) -> int:
        await self._fold(target, rows)
        if on_events is not None:
            on_events(count + len(rows))
        return count + len(rows)

    async def _fold(self, target: ScoredBoard, rows: Sequence[Any]) -> None:
        async with self._database.transaction() as connection:
            state = await self._ledger.join(connection)
            self._folder.begin(state.leaderboards_revision)
            # Looked at under the shared ledger: a removal during the replay is seen by this chunk or does it itself.
            removals = await self._entries.removals(connection, target.board.leaderboard_id)
            folded = await self._folder.fold(connection, _score(target, rows, removals))
        self._folder.commit()
        await self._index.publish(folded.entries, folded.directions)

    async def _compare(self, board: Leaderboard, pending: Leaderboard) -> tuple[int, list[Move]]:
        now = clock.now()
        names = [
            RankingName(each.leaderboard_id, each.epoch, each.schedule.at(now).start, WHOLE)
            for each in (board, pending)
        ]
        async with self._database.snapshot() as connection:
            found = {ranking.name: ranking.ranking_id for ranking in await self._rankings.find(connection, names)}
            before, after = (found.get(name, -1) for name in names)
            return await self._entries.compare(
                connection, (before, board.direction), (after, pending.direction), _MOVES_MAX
            )

    async def _swap(self, board: Leaderboard, pending: Leaderboard) -> None:
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            current = await self._store.find(connection, board.key)
            if (
                current is None
                or current.leaderboard_id != board.leaderboard_id
                or not _is_pending(current, pending)
                or current.definition != board.definition
                or current.resets != board.resets
            ):
                raise ConflictError(
                    "leaderboard_changed", f"The leaderboard {board.key!r} was changed during the replay; run it again."
                )
            revision = await self._ledger.next_leaderboards_revision(connection)
            await self._rankings.drop(connection, board.leaderboard_id, pending.epoch)
            # Periods that were archived meanwhile stay, too, as long as the new rule has put nothing across their end.
            began_at = await self._rankings.newest_archive_end(connection, board.leaderboard_id)
            if began_at is not None and not await self._rankings.begin_epoch(
                connection, board.leaderboard_id, pending.epoch, began_at
            ):
                raise ConflictError(
                    "leaderboard_changed",
                    f"A period of the leaderboard {board.key!r} was archived during the replay; run it again.",
                )
            await self._store.swap(
                connection, board.leaderboard_id, pending.definition, pending.epoch, began_at, revision,
                holds_stored=True,
            )  # fmt: skip
            await record(connection, "leaderboard.replay", board.key, before=board.definition, after=pending.definition)

    async def _give_up(self, board: Leaderboard, pending: Leaderboard) -> None:
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            current = await self._store.find(connection, board.key)
            if current is not None and not _is_pending(current, pending):
                # Already in force, when the answer to its commit was lost, or given up by someone else.
                return
            revision = await self._ledger.next_leaderboards_revision(connection)
            await self._rankings.drop_epoch(connection, board.leaderboard_id, pending.epoch)
            await self._store.set_pending(connection, board.leaderboard_id, None, revision)


def _is_pending(board: Leaderboard, pending: Leaderboard) -> bool:
    return board.pending is not None and board.pending.epoch == pending.epoch


def _score(target: ScoredBoard, rows: Sequence[Any], removals: dict[str, datetime]) -> Scored:
    scored = Scored()
    for row in rows:
        removed_at = removals.get(row["user_id"])
        if removed_at is not None and row["received_at"] <= removed_at:
            continue
        payload = _decode_payload(row["payload"])
        if row["event_type"] == DIRECT_EVENT_TYPE:
            if not is_direct_write_to(payload, target.board.key, target.board.leaderboard_id):
                continue
        elif not target.rule.belongs(payload):
            continue
        event = stored_event(row["event_type"], row["user_id"], row["id"], row["occurred_at"])
        score_event(scored, target, event, payload, row["received_at"])
    return scored

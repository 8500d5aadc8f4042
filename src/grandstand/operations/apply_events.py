"""Applies delivered events: one transaction stores and scores a batch, then the rank index takes the outcome.

The transaction decides which events are new, so a batch may be delivered any number of times, to any number of
workers at once. Known events still have their entries published again: a worker that died between its commit and the
rank index left that to whoever gets the delivery next.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from grandstand.domain.events import Event, decode_events
from grandstand.domain.folding import Tally, Value
from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.scores import UnrankedError
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.storage.changes import Changes
from grandstand.storage.entries import Entry, EntryStore
from grandstand.storage.event_log import EventLog, StoredEvent, month_of
from grandstand.storage.event_stream import Block
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.ranking_index import RankingIndex

_decode_payload = msgspec.json.Decoder().decode
_ATTEMPTS_MAX = 5


class _MonthClosedError(Exception):
    """The batch has events of a month that is not the open one: it needs the ledger alone."""


@dataclass(slots=True)
class Applied:
    """What became of a batch. `unranked` counts by (leaderboard key, reason)."""

    stored: int = 0
    duplicates: int = 0
    ranked: int = 0
    unranked: Counter[tuple[str, str]] = field(default_factory=Counter)


class EventApplier:
    """Applies blocks for one process."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        event_log: EventLog,
        entries: EntryStore,
        catalog: LeaderboardCatalog,
        index: RankingIndex,
        changes: Changes,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._event_log = event_log
        self._entries = entries
        self._catalog = catalog
        self._index = index
        self._changes = changes

    async def apply(self, blocks: Sequence[Block]) -> Applied:
        """Store, deduplicate and rank every event of the blocks; when this returns, all of it is served.

        Raises:
            UnavailableError: PostgreSQL is out of reach; nothing was stored.
            valkey.exceptions.ValkeyError: the rank index is out of reach; the events are stored, and applying the
                blocks again publishes them.

        """
        batch = _Batch(blocks)
        applied, changed = await self._store(batch)
        directions = {board.ranking_id: board.direction for board in self._catalog.all()}
        # A board that was deleted since the commit is served no more.
        served = [entry for entry in changed if entry.ranking_id in directions]
        await self._index.publish(served, directions)
        if served:
            await self._changes.rankings({entry.ranking_id for entry in served})
        return applied

    async def _store(self, batch: "_Batch") -> tuple[Applied, list[Entry]]:
        alone = False
        for attempt in range(_ATTEMPTS_MAX):
            try:
                async with self._database.transaction() as connection:
                    return await self._store_in(connection, batch, alone=alone)
            except _MonthClosedError:
                alone = True
            except asyncpg.UndefinedTableError:
                async with self._database.connection() as connection:
                    for month in batch.months:
                        await self._event_log.create_partition(connection, month)
            except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                # Another worker stored some of these events meanwhile; the next look at the known ids sees them.
                # Who loses that race twice takes the ledger alone, and nobody is left to race with.
                alone = alone or attempt > 0
        raise RuntimeError("A batch could not be stored: its partitions or ids changed under it again and again.")

    async def _store_in(
        self, connection: "Connection[Any]", batch: "_Batch", *, alone: bool
    ) -> tuple[Applied, list[Entry]]:
        state = await (self._ledger.seize(connection) if alone else self._ledger.join(connection))
        if not alone and batch.months != {state.open_month}:
            raise _MonthClosedError
        if alone and (state.open_month is None or max(batch.months) > state.open_month):
            await self._ledger.open_month(connection, max(batch.months))
        if state.leaderboards_revision > self._catalog.revision:
            await self._catalog.refresh(connection)

        known = await self._event_log.find_known(connection, list(batch.events))
        new = [item for event_id, item in batch.events.items() if event_id not in known]
        await self._store_rows(connection, new)
        applied = Applied(stored=len(new), duplicates=batch.delivered - len(new))
        tallies = self._tally(((event, received_at) for event, received_at in new), applied)
        changed = await self._entries.fold(connection, tallies)
        if known:
            repeated = self._tally((batch.events[event_id] for event_id in known), Applied())
            pairs = [(ranking_id, user_id) for ranking_id, tally in repeated.items() for user_id in tally.values]
            changed += await self._entries.find(connection, pairs)
        return applied, changed

    async def _store_rows(self, connection: "Connection[Any]", new: list[tuple[Event, datetime]]) -> None:
        rows: dict[date, list[StoredEvent]] = defaultdict(list)
        for event, received_at in sorted(new, key=_by_id):
            rows[month_of(received_at)].append(
                StoredEvent(
                    event.id, received_at, event.occurred_at, event.event_type, event.user_id,
                    bytes(event.payload).decode(),
                )
            )  # fmt: skip
        for month in sorted(rows):
            await self._event_log.store(connection, month, rows[month])

    def _tally(self, events: Iterable[tuple[Event, datetime]], applied: Applied) -> dict[int, Tally]:
        tallies: dict[int, Tally] = {}
        for event, _ in events:
            boards = self._catalog.for_event_type(event.event_type)
            if boards:
                payload = _decode_payload(event.payload)
                for board in boards:
                    _score(board, event, payload, tallies, applied)
        return tallies


class _Batch:
    """Blocks decoded, each id once; the first delivery of an id stands for all."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.events: dict[UUID, tuple[Event, datetime]] = {}
        self.delivered = 0
        for block in blocks:
            events = decode_events(block.data)
            self.delivered += len(events)
            for event in events:
                self.events.setdefault(event.id, (event, block.received_at))
        self.months = {month_of(block.received_at) for block in blocks}


def _by_id(item: tuple[Event, datetime]) -> int:
    return item[0].id.int


def _score(board: Leaderboard, event: Event, payload: Any, tallies: dict[int, Tally], applied: Applied) -> None:
    rule = board.rule
    if rule.where and not rule.belongs(payload):
        return
    try:
        score = rule.score(payload)
    except UnrankedError as error:
        applied.unranked[board.key, error.reason] += 1
        return
    tally = tallies.get(board.ranking_id)
    if tally is None:
        tally = tallies[board.ranking_id] = Tally(rule.operator, board.definition.order)
    tally.add(event.user_id, Value(score, event.occurred_at, event.id))
    applied.ranked += 1

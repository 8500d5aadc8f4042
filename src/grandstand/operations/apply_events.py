"""Applies delivered events: one transaction stores and scores a batch, then the rank index takes the outcome.

The transaction decides which events are new, so a batch may be delivered any number of times, to any number of
workers at once. Known events still have their entries published again: a worker that died between its commit and the
rank index left that to whoever gets the delivery next.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import repeat
from typing import Any

import asyncpg

from grandstand import clock
from grandstand.domain.event_model import NEWEST, OLDEST, StreamedEvent, decode_events
from grandstand.domain.partitions import PartitionRange, find_partition
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.fold_scores import Folded, ScoreFolder
from grandstand.operations.judge_events import EventJudge
from grandstand.operations.rehearse_event import EventRehearsal
from grandstand.operations.score_events import score_events
from grandstand.storage.changes import Changes
from grandstand.storage.event_log import EventLog
from grandstand.storage.event_rows import EventRows
from grandstand.storage.event_stream import Block
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rollups import RollupStore
from grandstand.telemetry import metrics, traces

_ATTEMPTS_MAX = 5
_ANNOUNCED_MAX = 200_000
_CLOCK_DIFFERENCE = timedelta(hours=1)
"""How far the clocks of hosts may lie apart."""

Delivery = tuple[StreamedEvent, datetime]
"""An event and when it was received."""


class _NotOpenError(Exception):
    """The batch has events of a partition that is not the open one: it needs the ledger alone."""


class _NoPartitionError(Exception):
    """There is no partition for events of the batch."""


@dataclass(slots=True)
class Applied:
    """What became of a batch. `unranked` counts by (leaderboard key, reason)."""

    stored: int = 0
    duplicates: int = 0
    unranked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: "Applied") -> None:
        """Take in what became of another batch."""
        self.stored += other.stored
        self.duplicates += other.duplicates
        self.unranked += other.unranked


class EventApplier:
    """Applies blocks for one process."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        event_log: EventLog,
        catalog: LeaderboardCatalog,
        judge: EventJudge,
        folder: ScoreFolder,
        index: RankingIndex,
        changes: Changes,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._event_log = event_log
        self._catalog = catalog
        self._judge = judge
        self._folder = folder
        self._index = index
        self._changes = changes
        self._rollups = RollupStore()
        self._announced: set[int] = set()
        self.rehearse = EventRehearsal(database, ledger, event_log).run
        """Whether any event could be stored, whatever becomes of a certain one."""

    async def apply(self, blocks: Sequence[Block]) -> Applied:
        """Store, deduplicate and rank every event of the blocks; when this returns, all of it is served.

        Raises:
            UnavailableError: PostgreSQL is out of reach; nothing was stored.
            valkey.exceptions.ValkeyError: the rank index is out of reach; applying the blocks again publishes what was
                stored.
        """
        with metrics.timed("apply"):
            applied, folded = await self._store(_Batch(blocks))
        with metrics.timed("publish"), traces.span("publish", **{"grandstand.entries": len(folded.entries)}):
            await self._index.publish(folded.entries, folded.directions)
            if folded.entries:
                await self._changes.rankings({entry.ranking_id for entry in folded.entries})
        if folded.has_new_rankings or not folded.repeated <= self._announced:
            await self._changes.periods()
            # Readers have heard of these since they were made: known events of them are no news any more.
            self._announced = self._announced if len(self._announced) < _ANNOUNCED_MAX else set()
            self._announced |= folded.directions.keys()
        return applied

    async def _store(self, batch: "_Batch") -> tuple[Applied, Folded]:
        alone = False
        problem: Exception | None = None
        for attempt in range(_ATTEMPTS_MAX):
            try:
                async with self._database.transaction() as connection:
                    outcome = await self._store_in(connection, batch, alone=alone)
                self._folder.commit()
                return outcome
            except _NotOpenError:
                alone = True
            except (_NoPartitionError, asyncpg.UndefinedTableError) as error:
                problem = error
                # Alone, for the partition that is said to be open may have left: then the tables say which there are.
                alone = True
                async with self._database.connection() as connection:
                    for moment in batch.moments:
                        await self._event_log.create_partition(connection, moment)
            except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError) as error:
                problem = error
                # Another worker stored some of these events meanwhile; the next look at the known ids sees them.
                # Who loses that race twice takes the ledger alone, and nobody is left to race with.
                alone = alone or attempt > 0
        raise problem or RuntimeError("A batch could not be stored: its partition changed under it again and again.")

    async def _store_in(self, connection: "Connection[Any]", batch: "_Batch", *, alone: bool) -> tuple[Applied, Folded]:
        state = await (self._ledger.seize(connection) if alone else self._ledger.join(connection))
        partitions = await self._partitions(connection, batch, state.open_partition, alone=alone)
        newest = max(partitions.values(), key=_by_end)
        # One that lies ahead of this clock is a wrong clock's: opening it would make every right batch run alone.
        if alone and newest.starts_at <= clock.now() + _CLOCK_DIFFERENCE and newest != state.open_partition:
            await self._ledger.open_partition(connection, newest)
        if state.leaderboards_revision > self._catalog.revision:
            await self._catalog.refresh(connection, state.leaderboards_revision)
        self._folder.begin(state.leaderboards_revision)

        with traces.span("known ids"):
            known = await self._event_log.find_known(connection, batch.ids)
        new = batch.all_but(known)
        with traces.span("copy"):
            await self._store_rows(connection, new, partitions)
        removals = await self._folder.removals_since(connection, batch.oldest)
        held = await self._judge.judge(connection, self._catalog, new, removals)
        scored = score_events(self._catalog, new, removals, held)
        with traces.span("fold"):
            folded = await self._folder.fold(connection, scored)
        if known:
            repeated = score_events(self._catalog, [batch.events[event_id] for event_id in known])
            folded.add(await self._folder.find(connection, repeated))
        applied = Applied(stored=len(new), duplicates=batch.delivered - len(new), unranked=scored.unranked)
        return applied, folded

    async def _partitions(
        self, connection: "Connection[Any]", batch: "_Batch", opened: PartitionRange | None, *, alone: bool
    ) -> dict[datetime, PartitionRange]:
        """Return the partition of each moment at which events of the batch were received."""
        if not alone:
            # One partition for all batches that run side by side: its index keeps an id from being stored twice.
            if opened is None or not all(opened.holds(moment) for moment in batch.moments):
                raise _NotOpenError
            return dict.fromkeys(batch.moments, opened)
        held = await self._event_log.partitions(connection)
        found: dict[datetime, PartitionRange] = {}
        for moment in batch.moments:
            partition = find_partition(held, moment)
            if partition is None:
                raise _NoPartitionError(f"No partition holds {moment}.")
            found[moment] = partition
        return found

    async def _store_rows(
        self, connection: "Connection[Any]", new: list[Delivery], partitions: dict[datetime, PartitionRange]
    ) -> None:
        found = set(partitions.values())
        for partition in sorted(found, key=_by_end):
            theirs = new if len(found) == 1 else [item for item in new if partitions[item[1]] == partition]
            if theirs:
                events = EventRows(theirs)
                await self._event_log.store(connection, partition, events)
                await self._rollups.enqueue(connection, partition, events)


class _Batch:
    """Blocks decoded, each id once; the first delivery of an id stands for all."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.events: dict[str, Delivery] = {}
        self.delivered = 0
        # Backwards, so that what is taken last, and stays, is the first delivery.
        for block in reversed(blocks):
            events = decode_events(block.data)
            events.reverse()
            self.delivered += len(events)
            deliveries = zip(events, repeat(block.received_at), strict=False)
            self.events.update(zip([event.id for event in events], deliveries, strict=True))
        times = [event.occurred_at for event, _ in self.events.values()]
        # Such a time would be stored, and then neither ranked nor read.
        if times and not OLDEST <= min(times) <= max(times) <= NEWEST:
            raise ValueError("An event's occurred_at is no time that an event can have.")
        self.ids = sorted(self.events)
        """In ascending order, so two batches cannot deadlock; their one form of text sorts like the ids."""
        self.oldest = min(block.received_at for block in blocks)
        self.moments = {block.received_at for block in blocks}

    def all_but(self, known: Collection[str]) -> list[Delivery]:
        """Return the events that are not known, in ascending order of their ids."""
        new = [event_id for event_id in self.ids if event_id not in known] if known else self.ids
        return list(map(self.events.__getitem__, new))


def _by_end(partition: PartitionRange) -> datetime:
    return partition.ends_at

"""The core of one deployment on real engines, without HTTP and without loops: parts that a test drives itself."""

import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from valkey.asyncio import Valkey

from grandstand.domain.events import Event, encode_events
from grandstand.domain.leaderboards import LeaderboardDefinition
from grandstand.operations.apply_events import Applied, EventApplier
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.define_leaderboard import LeaderboardDefiner
from grandstand.operations.read_leaderboard import LeaderboardReader, Page
from grandstand.operations.rebuild_ranking import RankingRebuilder
from grandstand.storage.changes import ChangeFeed, Changes
from grandstand.storage.entries import EntryStore
from grandstand.storage.entry_reads import EntryReads
from grandstand.storage.event_log import EventLog
from grandstand.storage.event_stream import HIGH, Block, EventStream
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Database, open_pool
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.valkey import open_valkey
from tests.support.engines import SCHEMA, RunningEngines
from tests.support.model import Standing, standings

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
"""When the events of tests happen, unless a test says otherwise."""


def event(
    user_id: str = "ann",
    score: Any = 1,
    *,
    at: datetime = NOON,
    event_type: str = "game_ended",
    event_id: UUID | None = None,
    payload: Any = None,
) -> Event:
    """An event as ingest hands it on; `payload` replaces `{"score": score}`."""
    body = {"score": score} if payload is None else payload
    return Event(event_type, user_id, msgspec.Raw(msgspec.json.encode(body)), event_id or uuid4(), at)


def block(events: Sequence[Event], received_at: datetime = NOON) -> Block:
    """The events as one delivery."""
    return Block(HIGH, b"0-1", len(events), received_at, encode_events(events))


def split(items: Sequence[Any], randomly: random.Random, size_max: int = 7) -> Iterator[Sequence[Any]]:
    """Cut into stretches of random sizes."""
    start = 0
    while start < len(items):
        size = randomly.randint(1, size_max)
        yield items[start : start + size]
        start += size


@dataclass
class Core:
    """Parts that share a database, a Valkey prefix and a pool. `process()` gives what another process would have."""

    database: Database
    valkey: Valkey
    prefix: str
    ledger: Ledger = field(default_factory=lambda: Ledger(SCHEMA))
    event_log: EventLog = field(default_factory=EventLog)
    entries: EntryStore = field(default_factory=EntryStore)
    store: LeaderboardStore = field(default_factory=LeaderboardStore)

    def __post_init__(self) -> None:
        self.catalog = LeaderboardCatalog(self.store)
        self.index = RankingIndex(self.valkey, self.prefix)
        self.changes = Changes(self.valkey, self.prefix)
        self.stream = EventStream(self.valkey, self.prefix)
        self.feed = ChangeFeed(self.valkey, self.prefix, lambda: None)
        self.entry_reads = EntryReads(self.database)
        self.definer = LeaderboardDefiner(
            self.database, self.ledger, self.store, self.entries, self.index, self.changes, self.catalog
        )
        self.reader = LeaderboardReader(
            self.catalog, self.database, self.store, self.index, self.entry_reads, self.feed
        )
        self.rebuilder = RankingRebuilder(self.database, self.entries, self.index)
        self.applier = self.new_applier()

    def new_applier(self, index: RankingIndex | None = None) -> EventApplier:
        """An applier that knows no board yet, as one in a process that has just started."""
        catalog = LeaderboardCatalog(self.store)
        return EventApplier(
            self.database, self.ledger, self.event_log, self.entries, catalog, index or self.index, self.changes
        )

    async def define(self, key: str, **values: Any) -> LeaderboardDefinition:
        """Put a board (best `score` of `game_ended` unless said otherwise); bring the reader's catalog up to date."""
        definition = LeaderboardDefinition(
            **{"event_type": "game_ended", "operator": "best", "field": "score"} | values
        )
        await self.definer.put(key, msgspec.json.encode(definition))
        await self.refresh()
        return definition

    async def refresh(self) -> None:
        async with self.database.connection() as connection:
            await self.catalog.refresh(connection)

    async def apply(self, *events: Event, received_at: datetime = NOON) -> Applied:
        return await self.applier.apply([block(events, received_at)])

    async def walk(self, key: str, limit: int = 100, **first: Any) -> list[Standing]:
        """Read a board page by page to its end."""
        page = await self.reader.page(key, limit=limit, **first)
        found = standing(page)
        while page.next_cursor is not None:
            page = await self.reader.page(key, limit=limit, cursor=page.next_cursor)
            assert page.entries, "a cursor to nowhere"
            assert page.entries[0].rank > found[-1].rank, "a cursor backwards"
            found += standing(page)
        return found

    async def computed(self, key: str) -> list[Standing]:
        """The board as PostgreSQL computes it from the entries."""
        board = self.catalog.get(key)
        assert board is not None
        rows = await self.database.pool.fetch(
            f"SELECT user_id, score, achieved_at FROM entries WHERE ranking_id = $1 "
            f'ORDER BY score {board.definition.order}, achieved_at, user_id COLLATE "C"',
            board.ranking_id,
        )
        return [Standing(rank, *row) for rank, row in enumerate(rows, start=1)]

    async def check(self, key: str, events: Iterable[Event]) -> None:
        """The board is what the model says, as served from a complete index and as PostgreSQL computes it."""
        board = self.catalog.get(key)
        assert board is not None
        wanted = standings(board.definition, events)
        assert await self.is_complete(key)
        assert await self.walk(key) == wanted
        assert await self.computed(key) == wanted

    async def is_complete(self, key: str) -> bool:
        return not await self.index.find_incomplete([self.ranking(key)])

    def ranking(self, key: str) -> int:
        board = self.catalog.get(key)
        assert board is not None
        return board.ranking_id

    def keys(self, key: str) -> tuple[str, str, str]:
        """The sorted set, the hash and the removed users of a board's rank index."""
        name = f"{self.prefix}:{{r{self.ranking(key)}}}"
        return f"{name}:ranks", f"{name}:holders", f"{name}:removed"

    async def lose_valkey(self) -> None:
        """Take away everything that this deployment has in Valkey, at one moment, as FLUSHALL would."""
        keys = [key async for key in self.valkey.scan_iter(f"{self.prefix}:*", count=1000)]
        if keys:
            await self.valkey.delete(*keys)

    async def reset(self) -> None:
        """Begin anew with the same boards: no event, no entry, complete empty indexes."""
        await self.database.pool.execute("DELETE FROM events; DELETE FROM entries")
        for board in self.catalog.all():
            await self.index.delete(board.ranking_id)
            await self.index.complete_new(board.ranking_id)

    async def fill(self, key: str, rows: Iterable[tuple[str, int, datetime]]) -> None:
        """Store entries (user, score, time) directly and rebuild the index."""
        ranking_id = self.ranking(key)
        versions = iter(range(1, 10_000_000))
        await self.database.pool.copy_records_to_table(
            "entries",
            records=[(ranking_id, user, score, at, UUID(int=0), next(versions)) for user, score, at in rows],
            columns=("ranking_id", "user_id", "score", "achieved_at", "event_id", "version"),
        )
        board = self.catalog.get(key)
        assert board is not None
        await self.rebuilder.rebuild(board)

    async def count_events(self) -> int:
        count: int = await self.database.pool.fetchval("SELECT count(*) FROM events")
        return count


def standing(page: Page) -> list[Standing]:
    """The entries of a page in the model's form."""
    return [Standing(entry.rank, entry.user_id, entry.score, entry.achieved_at) for entry in page.entries]


def minutes(count: float) -> datetime:
    """Noon and so many minutes."""
    return NOON + timedelta(minutes=count)


@asynccontextmanager
async def open_core(database_url: str, valkey_url: str, prefix: str) -> AsyncIterator[Core]:
    """A core of its own; everything is closed at the end."""
    pool = await open_pool(
        database_url,
        schema=SCHEMA,
        size_min=1,
        size_max=8,
        statement_timeout_seconds=30,
        application_name="tests",
    )
    valkey = open_valkey(valkey_url, timeout_seconds=5)
    core = Core(Database(pool, 10), valkey, prefix)
    try:
        yield core
    finally:
        await core.lose_valkey()
        await valkey.aclose()
        await pool.close()


@pytest.fixture(scope="module")
def core_database_url(engines: RunningEngines, template_database: str) -> Iterator[str]:
    """A migrated database for the tests of a module; `core` empties it for each."""
    name = engines.create_database(template_database)
    yield engines.database_url(name)
    engines.drop_database(name)


@pytest.fixture
async def core(anyio_backend: Any, core_database_url: str, valkey_url: str, valkey_prefix: str) -> AsyncIterator[Core]:
    """The core as after its first start, with the board `global` and no partition yet."""
    async with open_core(core_database_url, valkey_url, valkey_prefix) as opened:
        await empty(opened.database)
        await opened.definer.ensure_global()
        await opened.refresh()
        yield opened


async def empty(database: Database) -> None:
    """Bring a database back to the state after its migrations."""
    async with database.transaction() as connection:
        for name in await EventLog().partitions(connection):
            await connection.execute(f"DROP TABLE {name}")
        await connection.execute(
            "DELETE FROM entries; DELETE FROM leaderboards;"
            "UPDATE ledger SET open_month = NULL, leaderboards_revision = 0"
        )

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
from grandstand.domain.leaderboards import Leaderboard, LeaderboardDefinition
from grandstand.domain.periods import BEGINNING
from grandstand.domain.rankings import WHOLE, Ranking, RankingName
from grandstand.operations.admit_attempts import AttemptKeeper
from grandstand.operations.apply_events import Applied, EventApplier
from grandstand.operations.bury_events import EventBurier
from grandstand.operations.catalog import LeaderboardCatalog, indexed
from grandstand.operations.close_periods import PeriodCloser
from grandstand.operations.cut_scores import ScoreCutter
from grandstand.operations.define_leaderboard import LeaderboardDefiner
from grandstand.operations.erase_player import PlayerEraser
from grandstand.operations.find_ranking import Part, RankingFinder
from grandstand.operations.finish_erasures import ErasureFinisher
from grandstand.operations.fold_scores import ScoreFolder
from grandstand.operations.judge_events import EventJudge
from grandstand.operations.leaderboard_views import Page
from grandstand.operations.list_leaderboards import LeaderboardLister
from grandstand.operations.manage_quarantine import QuarantineManager
from grandstand.operations.player_names import PlayerNames
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.rebuild_ranking import RankingRebuilder
from grandstand.operations.replay_leaderboard import LeaderboardReplayer
from grandstand.operations.resolve_rankings import RankingResolver
from grandstand.operations.stream_memory import StreamMemory
from grandstand.operations.stream_registry import StreamRegistry
from grandstand.operations.trust_index import IndexTrust
from grandstand.operations.write_score import ScoreWriter
from grandstand.storage.archive import ArchiveStore
from grandstand.storage.archive_reader import ArchivedEvents
from grandstand.storage.bans import BanStore
from grandstand.storage.buckets import BucketStore
from grandstand.storage.changes import ChangeFeed, Changes
from grandstand.storage.dead_letters import DeadLetterStore
from grandstand.storage.entries import EntryStore
from grandstand.storage.entry_reads import EntryReads
from grandstand.storage.erasures import ErasureStore
from grandstand.storage.event_log import EventLog
from grandstand.storage.event_stream import HIGH, Block
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.index_reads import IndexIncompleteError
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.ledger import Ledger
from grandstand.storage.outbox import Outbox
from grandstand.storage.players import PlayerStore
from grandstand.storage.postgres import Database, open_pool
from grandstand.storage.prizes import PrizeStore
from grandstand.storage.quarantine import QuarantineStore
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore
from grandstand.storage.stream_history import StreamHistory
from grandstand.storage.tournaments import TournamentStore
from grandstand.storage.trial_marks import TrialMarks
from grandstand.storage.valkey import open_valkey, server_of
from grandstand.workers.ranking_keeper import RankingKeeper
from grandstand.workers.ranking_reconciler import RankingReconciler
from grandstand.workers.ranking_sweeper import RankingSweeper
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
    data = encode_events(events)
    return Block(HIGH, b"0-1", len(events), received_at, data, len(data))


def split(items: Sequence[Any], randomly: random.Random, size_max: int = 7) -> Iterator[Sequence[Any]]:
    """Cut into stretches of random sizes."""
    start = 0
    while start < len(items):
        size = randomly.randint(1, size_max)
        yield items[start : start + size]
        start += size


class NoIndex(RankingIndex):
    """An index that is never complete: PostgreSQL answers everything."""

    async def _run(self, *arguments: Any) -> Any:
        raise IndexIncompleteError


@dataclass
class Core:
    """Parts that share a database, a Valkey prefix and a pool; the methods `new_…` give what another process has."""

    database: Database
    valkey: Valkey
    prefix: str
    ledger: Ledger = field(default_factory=lambda: Ledger(SCHEMA))
    event_log: EventLog = field(default_factory=EventLog)
    entries: EntryStore = field(default_factory=EntryStore)
    store: LeaderboardStore = field(default_factory=LeaderboardStore)
    rankings: RankingStore = field(default_factory=RankingStore)
    buckets: BucketStore = field(default_factory=BucketStore)
    archive: ArchiveStore = field(default_factory=ArchiveStore)
    players: PlayerStore = field(default_factory=PlayerStore)
    erasures: ErasureStore = field(default_factory=ErasureStore)
    entry_reads: EntryReads = field(default_factory=EntryReads)
    bans: BanStore = field(default_factory=BanStore)
    tournaments: TournamentStore = field(default_factory=TournamentStore)
    prizes: PrizeStore = field(default_factory=PrizeStore)
    outbox: Outbox = field(default_factory=Outbox)
    letters: DeadLetterStore = field(default_factory=DeadLetterStore)
    quarantine: QuarantineStore = field(default_factory=QuarantineStore)

    def __post_init__(self) -> None:
        self.archived = ArchivedEvents(self.database, None)
        self.catalog = LeaderboardCatalog(self.store)
        self.index = RankingIndex(self.valkey, self.prefix)
        self.changes = Changes(self.valkey, self.prefix)
        self.streams = EventStreams(self.valkey, self.prefix)
        self.stream = self.streams[0]
        self.registry = StreamRegistry(self.database, StreamHistory(), self.streams)
        self.feed = ChangeFeed(self.valkey, self.prefix, lambda: None)
        self.definer = self.new_definer()
        self.finder = self.new_finder()
        self.reader = self.new_reader(finder=self.finder)
        self.lister = LeaderboardLister(self.catalog, self.database)
        self.writer = ScoreWriter(self.finder, self.streams)
        self.rebuilder = RankingRebuilder(self.database, self.rankings, self.entries, self.index)
        self.sweeper = RankingSweeper(
            self.database, self.rankings, self.entries, self.archive, self.buckets, self.index
        )
        self.applier = self.new_applier()
        self.marks = TrialMarks(self.valkey, self.prefix)
        self.burier = EventBurier(self.database, self.letters)

    def new_definer(self, index: RankingIndex | None = None) -> LeaderboardDefiner:
        return LeaderboardDefiner(
            self.database, self.ledger, self.store, self.rankings, self.entries, index or self.index, self.changes
        )

    def new_applier(self, index: RankingIndex | None = None) -> EventApplier:
        """An applier that knows no board yet, as one in a process that has just started."""
        index = index or self.index
        return EventApplier(
            self.database, self.ledger, self.event_log, LeaderboardCatalog(self.store), EventJudge(self.quarantine),
            self.new_folder(index), index, self.changes,
        )  # fmt: skip

    def new_folder(self, index: RankingIndex | None = None) -> ScoreFolder:
        return ScoreFolder(
            RankingResolver(self.rankings, index or self.index), self.bans, AttemptKeeper(self.tournaments),
            self.buckets, self.entries,
        )  # fmt: skip

    def new_finder(self, feed: ChangeFeed | None = None) -> RankingFinder:
        return RankingFinder(
            self.catalog, self.database, self.store, self.rankings, self.buckets, feed or self.feed
        )  # fmt: skip

    def new_reader(
        self,
        index: RankingIndex | None = None,
        entry_reads: EntryReads | None = None,
        finder: RankingFinder | None = None,
    ) -> LeaderboardReader:
        names = PlayerNames(self.database, self.players, self.feed)
        return LeaderboardReader(
            finder or self.finder, self.database, self.rankings, index or self.index, entry_reads or self.entry_reads,
            self.archive, names, self.new_trust(),
        )  # fmt: skip

    def new_memory(self) -> StreamMemory:
        return StreamMemory(self.streams, self.index, self.changes)

    def new_trust(self, database: Database | None = None, memory: StreamMemory | None = None) -> IndexTrust:
        return IndexTrust(
            server_of(self.valkey), database or self.database, StreamHistory(), memory or self.new_memory()
        )

    def new_eraser(self) -> PlayerEraser:
        return PlayerEraser(
            self.database, self.ledger, self.erasures, self.entries, self.tournaments, self.prizes, self.index,
            self.changes,
        )  # fmt: skip

    def new_erasure_finisher(self, database: Database | None = None) -> ErasureFinisher:
        """Trusts that what was received is in the stream at once, as it is where nobody is at work."""
        return ErasureFinisher(
            database or self.database, self.ledger, self.erasures, self.registry, self.index, self.changes,
            slack=timedelta(0),
        )  # fmt: skip

    def new_closer(self) -> PeriodCloser:
        return PeriodCloser(
            self.database, self.ledger, LeaderboardCatalog(self.store), self.rankings, self.archive, self.registry,
            self.changes, self.outbox,
        )  # fmt: skip

    def new_keeper(self) -> RankingKeeper:
        return RankingKeeper(
            self.database, LeaderboardCatalog(self.store), self.rankings, self.index, self.rebuilder
        )  # fmt: skip

    def new_cutter(self, database: Database | None = None, fence: Fence = no_fence) -> ScoreCutter:
        return ScoreCutter(
            database or self.database, self.ledger, self.event_log, self.tournaments, self.rankings, self.entries,
            self.index, self.changes, fence=fence,
        )  # fmt: skip

    def new_reconciler(self, second_look_seconds: float = 0.01) -> RankingReconciler:
        return RankingReconciler(
            self.database, LeaderboardCatalog(self.store), self.rankings, self.entries, self.index,
            second_look_seconds=second_look_seconds,
        )  # fmt: skip

    def new_quarantine_manager(self, index: RankingIndex | None = None) -> QuarantineManager:
        return QuarantineManager(
            self.database, self.ledger, self.quarantine, self.catalog, self.rankings, self.new_folder,
            index or self.index, self.changes,
        )  # fmt: skip

    def new_replayer(self, archive_url: str | None = None) -> LeaderboardReplayer:
        return LeaderboardReplayer(
            self.database, self.ledger, self.store, self.rankings, self.entries, self.event_log,
            ArchivedEvents(self.database, archive_url), self.new_folder(), self.index, self.changes,
        )  # fmt: skip

    async def define(self, key: str, **values: Any) -> LeaderboardDefinition:
        """Put a board (`game_ended`, `score`, `best` unless told otherwise) and let the reader know it."""
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
        part = {"part": first["part"]} if "part" in first else {}
        page = await self.reader.page(key, limit=limit, **first)
        found = standing(page)
        while page.next_cursor is not None:
            page = await self.reader.page(key, limit=limit, cursor=page.next_cursor, **part)
            assert page.entries, "a cursor to nowhere"
            found += standing(page)
        return found

    async def computed(self, key: str, part: Part = Part()) -> list[Standing]:  # noqa: B008
        """The board as PostgreSQL computes it from the entries."""
        ranking = await self.ranking(key, part)
        rows = await self.database.pool.fetch(
            f"SELECT user_id, score, achieved_at FROM entries WHERE ranking_id = $1 "
            f'ORDER BY score {self.board(key).definition.order}, tie_key, achieved_at, user_id COLLATE "C"',
            -1 if ranking is None else ranking.ranking_id,
        )
        return [Standing(rank, *row) for rank, row in enumerate(rows, start=1)]

    async def check(self, key: str, events: Iterable[Event]) -> None:
        """The board is what the model says, as served from a complete index and as PostgreSQL computes it."""
        wanted = standings(self.board(key).definition, events)
        assert await self.is_complete(key)
        assert await self.walk(key) == wanted
        assert await self.computed(key) == wanted

    def board(self, key: str) -> Leaderboard:
        board = self.catalog.get(key)
        assert board is not None
        return board

    async def is_complete(self, key: str, part: Part = Part()) -> bool:  # noqa: B008
        """Whether the index of the running period is complete; one that nobody scored in has none and needs none."""
        ranking = await self.ranking(key, part)
        return ranking is None or not await self.index.find_incomplete([indexed(self.board(key), ranking.ranking_id)])

    async def ranking(self, key: str, part: Part = Part()) -> Ranking | None:  # noqa: B008
        return (await self.finder.find(key, part, None)).ranking

    async def ranking_id(self, key: str, part: Part = Part()) -> int:  # noqa: B008
        """The id of the ranking of a board that somebody has scored on."""
        ranking = await self.ranking(key, part)
        assert ranking is not None, f"nobody has scored on {key}"
        return ranking.ranking_id

    async def open_ranking(self, key: str) -> int:
        """Make the running period of an `all_time` board that nobody has scored on yet; return its id."""
        board = self.board(key)
        name = RankingName(board.leaderboard_id, board.epoch, BEGINNING, WHOLE)
        async with self.database.connection() as connection:
            for ranking_id in await self.rankings.insert_missing(connection, [(name, None)]):
                await self.index.complete_new([ranking_id])
            return (await self.rankings.find(connection, [name]))[0].ranking_id

    async def keys(self, key: str) -> tuple[str, str, str, str]:
        """The sorted set, the hash, the removed users and the metadata of a board's rank index."""
        return self.index._keys(await self.ranking_id(key))

    async def rebuild(self, key: str, part: Part = Part()) -> int:  # noqa: B008
        """Rebuild the index of a board's running period."""
        return await self.rebuilder.rebuild(indexed(self.board(key), await self.ranking_id(key, part)))

    async def lose_valkey(self) -> None:
        """Take away everything that this deployment has in Valkey, at one moment, as FLUSHALL would."""
        keys = [key async for key in self.valkey.scan_iter(f"{self.prefix}:*", count=1000)]
        if keys:
            await self.valkey.delete(*keys)

    async def reset(self) -> None:
        """Begin anew with the same boards: no event, no entry, no ranking."""
        async with self.database.transaction() as connection:
            await self.ledger.seize(connection)
            await connection.execute(
                "DELETE FROM rollup_queue; DELETE FROM rollups; DELETE FROM rollup_users; DELETE FROM first_events; "
                "DELETE FROM rollup_months; DELETE FROM rollup_days; DELETE FROM reports;"
                "DELETE FROM quarantine; DELETE FROM plausibility_minutes; DELETE FROM events; "
                "DELETE FROM entries; DELETE FROM bucket_members; DELETE FROM rankings"
            )
            await self.ledger.next_leaderboards_revision(connection)
        await self.lose_valkey()

    async def fill(self, key: str, rows: Iterable[tuple[str, int, datetime]]) -> None:
        """Store entries (user, score, time) of an `all_time` board directly and rebuild the index."""
        ranking_id = await self.open_ranking(key)
        versions = iter(range(1, 10_000_000))
        await self.database.pool.copy_records_to_table(
            "entries",
            records=[(ranking_id, user, score, at, UUID(int=0), next(versions)) for user, score, at in rows],
            columns=("ranking_id", "user_id", "score", "achieved_at", "event_id", "version"),
        )
        await self.rebuild(key)

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
async def open_core(
    database_url: str,
    valkey_url: str,
    prefix: str,
    *,
    keeps: bool = False,
    statement_timeout_seconds: float = 30,
    connections_max: int = 8,
) -> AsyncIterator[Core]:
    """A core of its own; everything is closed at the end, and the keys are gone unless it `keeps` them."""
    pool = await open_pool(
        database_url,
        schema=SCHEMA,
        size_min=1,
        size_max=connections_max,
        statement_timeout_seconds=statement_timeout_seconds,
        application_name="tests",
    )
    valkey = open_valkey(valkey_url, timeout_seconds=5)
    core = Core(Database(pool, 10), valkey, prefix)
    try:
        yield core
    finally:
        if not keeps:
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
        leaving = await connection.fetch("SELECT tablename FROM pg_tables WHERE tablename LIKE 'leaving%'")
        for name in [*(each.name for each in await EventLog().partitions(connection)), *(row[0] for row in leaving)]:
            await connection.execute(f"DROP TABLE {name}")
        await connection.execute(
            "DELETE FROM entries; DELETE FROM archived_entries; DELETE FROM bucket_members; DELETE FROM removals;"
            "DELETE FROM rollup_queue; DELETE FROM rollups; DELETE FROM rollup_users; DELETE FROM first_events; "
            "DELETE FROM rollup_months; DELETE FROM rollup_days; DELETE FROM reports;"
            "DELETE FROM quarantine; DELETE FROM plausibility_minutes;"
            "DELETE FROM archived_ids; DELETE FROM archived_users; DELETE FROM archive_files;"
            "DELETE FROM event_archives; DELETE FROM archive_tokens; DELETE FROM archive_files_to_delete;"
            "DELETE FROM prize_steps; DELETE FROM prizes; DELETE FROM standings; DELETE FROM participants;"
            "DELETE FROM occurrences; DELETE FROM tournaments; DELETE FROM leases;"
            "DELETE FROM event_streams WHERE stream > 0;"
            "DELETE FROM dead_letters; DELETE FROM erasures; DELETE FROM webhook_events; DELETE FROM webhook_endpoints;"
            "DELETE FROM rankings; DELETE FROM leaderboards; DELETE FROM players;"
            "UPDATE ledger SET open_month = NULL, open_until = NULL, leaderboards_revision = 0"
        )


async def forget_losses(core: Core) -> None:
    """Take the streams as they are, the first alone registered, as if none had ever lost anything."""
    async with core.database.connection() as connection:
        await connection.execute("DELETE FROM stream_losses; DELETE FROM event_streams WHERE stream > 0")
        await StreamHistory().forget_marks(connection)

"""What every role is made of: connections to both engines, and the stores and operations on top of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

import asyncpg
from pydantic import SecretStr
from valkey.asyncio import Valkey
from valkey.exceptions import ResponseError, ValkeyError

from grandstand.domain.errors import UnavailableError, first_line
from grandstand.operations.admit_attempts import AttemptKeeper
from grandstand.operations.ban_player import PlayerBanner
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.claim_prizes import PrizeKeeper
from grandstand.operations.define_leaderboard import LeaderboardDefiner
from grandstand.operations.erase_player import PlayerEraser
from grandstand.operations.fold_scores import ScoreFolder
from grandstand.operations.follow_catalog import CatalogFollower
from grandstand.operations.manage_quarantine import QuarantineManager
from grandstand.operations.manage_tournaments import TournamentKeeper
from grandstand.operations.replay_leaderboard import LeaderboardReplayer
from grandstand.operations.resolve_rankings import RankingResolver
from grandstand.operations.route_reads import Reads
from grandstand.operations.stream_memory import StreamMemory
from grandstand.operations.stream_registry import StreamRegistry
from grandstand.operations.trust_index import IndexTrust
from grandstand.settings import Settings, replica_urls
from grandstand.storage.archive import ArchiveStore
from grandstand.storage.archive_reader import ArchivedEvents
from grandstand.storage.bans import BanStore
from grandstand.storage.buckets import BucketStore
from grandstand.storage.changes import ChangeFeed, Changes
from grandstand.storage.entries import EntryStore
from grandstand.storage.erasures import ErasureStore
from grandstand.storage.event_log import EventLog
from grandstand.storage.event_stream import EventStream, NotDurableError, StreamLimits
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.leases import LeaseStore
from grandstand.storage.ledger import Ledger
from grandstand.storage.outbox import Outbox
from grandstand.storage.players import PlayerStore
from grandstand.storage.postgres import Database, open_pool
from grandstand.storage.prizes import PrizeStore
from grandstand.storage.quarantine import QuarantineStore
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore
from grandstand.storage.recent_writers import RecentWriters
from grandstand.storage.replicas import Replica, ReplicaWatch
from grandstand.storage.schema_version import read_version
from grandstand.storage.sessions import local_settings, session_settings
from grandstand.storage.stream_history import StreamHistory
from grandstand.storage.tournaments import TournamentStore
from grandstand.storage.valkey import memory_max_bytes, open_valkey, server_of
from grandstand.storage.valkey_errors import OUT_OF_REACH
from grandstand.storage.valkey_scripts import Replication
from grandstand.storage.valkey_servers import ask_primaries, is_cluster
from grandstand.storage.webhooks import WebhookStore

_CLOSE_TIMEOUT_SECONDS = 2.0
_WATCHING = "watch"
_MARK_MARGIN_SECONDS = 1.0
"""What clocks of two machines may come to differ by, within the life of a writer's mark."""

_POOLER_HINT = "; behind PgBouncer set GRANDSTAND_DATABASE_POOLER=pgbouncer"


class EngineUnreachableError(Exception):
    """PostgreSQL or Valkey cannot be used; the message is one sentence that says which and why."""


async def check_schema(core: "Core") -> None:
    """Make sure that the schema is of this version, or of a newer one that this one works with.

    Raises:
        EngineUnreachableError: it is not (run `grandstand migrate`).
    """
    async with core.database.connection() as connection:
        found = await read_version(connection)
    name = core.settings.database_schema
    if found is None:
        raise EngineUnreachableError(f"The schema {name} is not set up: run `grandstand migrate` first.")
    if not found.fits:
        raise EngineUnreachableError(f"The schema {name} {found.reason}.")


@asynccontextmanager
async def checked_core(settings: Settings, *, must_be_durable: bool = True) -> AsyncIterator["Core"]:
    """Connect to a deployment of this version for a command; the block may find an engine out of reach as well.

    Raises:
        EngineUnreachableError: an engine is not set, out of reach or of another schema version.
    """
    async with AsyncExitStack() as stack:
        core = await open_core(settings, stack, must_be_durable=must_be_durable)
        try:
            await check_schema(core)
            yield core
        except UnavailableError as error:
            raise EngineUnreachableError(error.detail) from error


@dataclass(frozen=True)
class Core:
    """What every role is made of."""

    settings: Settings
    database: Database
    primary_reads: Database
    reads: Reads
    valkey: Valkey
    ledger: Ledger
    event_log: EventLog
    archived: ArchivedEvents
    entries: EntryStore
    leaderboards: LeaderboardStore
    rankings: RankingStore
    buckets: BucketStore
    archive: ArchiveStore
    players: PlayerStore
    erasures: ErasureStore
    bans: BanStore
    tournaments: TournamentStore
    prizes: PrizeStore
    outbox: Outbox
    webhooks: WebhookStore
    leases: LeaseStore
    catalog: LeaderboardCatalog
    follower: CatalogFollower
    streams: EventStreams
    registry: StreamRegistry
    stream_history: StreamHistory
    stream_memory: StreamMemory
    trust: IndexTrust
    index: RankingIndex
    changes: Changes

    def definer(self) -> LeaderboardDefiner:
        """Return what changes definitions."""
        return LeaderboardDefiner(
            self.database, self.ledger, self.leaderboards, self.rankings, self.entries, self.index, self.changes,
            self.catalog,
        )  # fmt: skip

    def folder(self) -> ScoreFolder:
        """Return what brings scores into the entries; one for each loop that does."""
        resolver = RankingResolver(self.rankings, self.index)
        return ScoreFolder(resolver, self.bans, AttemptKeeper(self.tournaments), self.buckets, self.entries)

    def tournament_keeper(self) -> TournamentKeeper:
        """Return what changes tournaments."""
        return TournamentKeeper(
            self.database, self.ledger, self.leaderboards, self.rankings, self.tournaments, self.outbox, self.changes,
            grace_seconds=self.settings.tournament_grace_seconds,
        )  # fmt: skip

    def prize_keeper(self, feed: ChangeFeed | None = None) -> PrizeKeeper:
        """Return what reads, claims, voids and expires prizes; with a feed it remembers what it has read."""
        return PrizeKeeper(
            self.database, self.prizes, self.outbox, self.changes, feed,
            age_max_seconds=self.settings.prize_cache_seconds,
        )  # fmt: skip

    def banner(self) -> PlayerBanner:
        """Return what bans players."""
        return PlayerBanner(
            self.database, self.ledger, self.bans, self.entries, self.tournaments, self.prizes, self.index, self.changes
        )  # fmt: skip

    def eraser(self) -> PlayerEraser:
        """Return what begins to erase players."""
        return PlayerEraser(
            self.database, self.ledger, self.erasures, self.entries, self.tournaments, self.prizes, self.index,
            self.changes,
        )  # fmt: skip

    def quarantine_manager(self) -> QuarantineManager:
        """Return what lists, releases and rejects quarantined events."""
        return QuarantineManager(
            self.database, self.ledger, QuarantineStore(), self.catalog, self.rankings, self.folder, self.index,
            self.changes,
        )  # fmt: skip

    def replayer(self) -> LeaderboardReplayer:
        """Return what recomputes boards."""
        return LeaderboardReplayer(
            self.database, self.ledger, self.leaderboards, self.rankings, self.entries, self.event_log, self.archived,
            self.folder(), self.index, self.changes,
        )  # fmt: skip


async def open_core(settings: Settings, stack: AsyncExitStack, *, must_be_durable: bool = True) -> Core:
    """Connect to both engines; the stack closes the connections. `must_be_durable`: Valkey has to sync every write.

    Raises:
        EngineUnreachableError: an engine is missing from the settings, out of reach, or not set up.

    """
    prefix, schema = settings.valkey_prefix, settings.database_schema
    valkey = await _open_valkey(settings, stack, must_be_durable=must_be_durable)
    database = await _open_database(settings, stack, "write")
    reads = await _open_database(settings, stack, "read")
    store = LeaderboardStore()
    catalog = LeaderboardCatalog(store)
    replication = _replication(settings)
    streams = EventStreams(
        valkey, prefix, await _stream_limits(settings, valkey), replication, count=settings.event_streams,
        open_client=partial(_new_client, settings) if is_cluster(valkey) else None,
    )  # fmt: skip
    stack.push_async_callback(streams.close)
    index, changes, history = RankingIndex(valkey, prefix, replication), Changes(valkey, prefix), StreamHistory()
    memory = StreamMemory(streams, index, changes)
    return Core(
        settings=settings,
        database=database,
        primary_reads=reads,
        reads=await _open_reads(settings, stack, reads, valkey),
        valkey=valkey,
        ledger=Ledger(schema),
        event_log=EventLog(settings.partition_every),
        archived=ArchivedEvents(database, settings.archive_url),
        entries=EntryStore(),
        leaderboards=store,
        rankings=RankingStore(),
        buckets=BucketStore(),
        archive=ArchiveStore(),
        players=PlayerStore(),
        erasures=ErasureStore(),
        bans=BanStore(),
        tournaments=TournamentStore(),
        prizes=PrizeStore(),
        outbox=Outbox(),
        webhooks=WebhookStore(),
        leases=LeaseStore(),
        catalog=catalog,
        follower=CatalogFollower(database, catalog),
        streams=streams,
        registry=StreamRegistry(database, history, streams),
        stream_history=history,
        stream_memory=memory,
        trust=IndexTrust(server_of(valkey), database, history, memory),
        index=index,
        changes=changes,
    )


def require_url(settings: Settings, name: str) -> str:
    """Return the URL of an engine.

    Raises:
        EngineUnreachableError: the setting is missing.

    """
    url: SecretStr | None = getattr(settings, name)
    if url is None:
        raise EngineUnreachableError(f"GRANDSTAND_{name.upper()} is not set; `grandstand up` brings its own engines.")
    return url.get_secret_value()


async def _open_database(settings: Settings, stack: AsyncExitStack, name: Literal["write", "read"]) -> Database:
    return await _open_at(require_url(settings, "database_url"), settings, stack, name)


async def _open_reads(settings: Settings, stack: AsyncExitStack, primary: Database, valkey: Valkey) -> Reads:
    """Return what reads go through; a replica that is away now is found when it is there."""
    if not replica_urls(settings):
        return Reads(primary)
    pools = [
        await _open_at(url, settings, stack, f"replica-{number}")
        for number, url in enumerate(replica_urls(settings), start=1)
    ]
    lag_max = settings.database_replica_lag_max_seconds
    watching = await _open_at(require_url(settings, "database_url"), settings, stack, _WATCHING)
    watch = ReplicaWatch(watching, [Replica(pool) for pool in pools], lag_max)
    return Reads(primary, watch, RecentWriters(valkey, settings.valkey_prefix, lag_max + _MARK_MARGIN_SECONDS))


async def _open_at(url: str, settings: Settings, stack: AsyncExitStack, name: str) -> Database:
    only_reads = name != "write"
    size_min, size_max = (
        (settings.database_read_pool_min, settings.database_read_pool_max)
        if only_reads
        else (settings.database_pool_min, settings.database_pool_max)
    )
    if name not in ("write", "read"):
        size_min = 0
    if name == _WATCHING:
        size_max = 1
    try:
        pool = await open_pool(
            url,
            schema=settings.database_schema,
            size_min=min(size_min, size_max),
            size_max=size_max,
            statement_timeout_seconds=settings.database_statement_timeout_seconds,
            query_timeout_seconds=settings.database_query_timeout_seconds,
            idle_seconds=settings.database_pool_idle_seconds,
            uses_max=settings.database_pool_uses_max,
            application_name="grandstand",
            only_reads=only_reads,
            keeps_sessions=keeps_sessions(settings),
        )
    except asyncpg.ProtocolViolationError as error:
        hint = _POOLER_HINT if "startup parameter" in str(error) else ""
        raise EngineUnreachableError(f"PostgreSQL cannot be reached: {first_line(error)}{hint}.") from error
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise EngineUnreachableError(f"PostgreSQL cannot be reached: {first_line(error)}.") from error
    stack.push_async_callback(_close_pool, pool)
    return Database(pool, settings.database_acquire_timeout_seconds, name, said_first(settings, only_reads=only_reads))


def keeps_sessions(settings: Settings) -> bool:
    """Whether what is set or prepared on a connection to PostgreSQL stays there for the next transaction."""
    return settings.database_pooler == "none"


def said_first(settings: Settings, *, only_reads: bool = False) -> str:
    """Return what begins each transaction where no session is kept, for a `Database`; else nothing."""
    if keeps_sessions(settings):
        return ""
    return local_settings(
        session_settings(
            settings.database_schema,
            statement_timeout_seconds=settings.database_statement_timeout_seconds,
            only_reads=only_reads,
        )
    )


async def _close_pool(pool: asyncpg.Pool) -> None:
    # A server that is away does not say goodbye, and its connections would be waited for.
    try:
        await asyncio.wait_for(pool.close(), _CLOSE_TIMEOUT_SECONDS)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        pool.terminate()


async def _stream_limits(settings: Settings, valkey: Valkey) -> StreamLimits:
    """Return the limits of the stream; the ranks get half of a Valkey whose memory is limited."""
    try:
        most = await memory_max_bytes(valkey)
    except ResponseError:
        most = None  # A hosted server may hide it; then the setting alone counts.
    except (ValkeyError, OSError) as error:
        raise EngineUnreachableError(f"Valkey cannot be reached: {first_line(error)}.") from error
    size_bytes = settings.stream_max_bytes if most is None else min(settings.stream_max_bytes, most // 2)
    return StreamLimits(settings.stream_max_events, size_bytes, settings.stream_max_age_seconds)


def _replication(settings: Settings) -> Replication:
    """Return for how many replicas writes wait: one where a fail-over is possible, unless it is set."""
    replicas = settings.valkey_sync_replicas
    if replicas is None:
        replicas = int("+" in require_url(settings, "valkey_url").partition("://")[0])
    # Less than the time-out of the connection, so that the answer is that of the server.
    return Replication(replicas, max(1, int(settings.valkey_timeout_seconds * 800)))


def _new_client(settings: Settings) -> Valkey:
    return open_valkey(require_url(settings, "valkey_url"), timeout_seconds=settings.valkey_timeout_seconds)


async def _open_valkey(settings: Settings, stack: AsyncExitStack, *, must_be_durable: bool) -> Valkey:
    valkey = _new_client(settings)
    stack.push_async_callback(valkey.aclose)
    try:
        await ask_primaries(valkey, "PING")
        if must_be_durable:
            await EventStream(valkey, settings.valkey_prefix).check_durable()
    except (ValkeyError, *OUT_OF_REACH) as error:
        raise EngineUnreachableError(f"Valkey cannot be reached: {first_line(error)}.") from error
    except NotDurableError as error:
        raise EngineUnreachableError(str(error)) from error
    return valkey

"""What people who run a deployment want to know of its storage and caches."""

from typing import NamedTuple

from grandstand.operations.route_reads import Reads
from grandstand.storage.event_archives import ArchiveSight, EventArchives, PartitionSight
from grandstand.storage.postgres import Database
from grandstand.telemetry import metrics
from grandstand.telemetry.shared_series import read_series

LIST_MAX = 60


class CacheSight(NamedTuple):
    """How often the processes' caches of one name were asked, and how often they knew; since the processes began."""

    name: str
    reads: int
    hit_share: float | None


class StorageSurvey:
    """Looks for one process. Methods that ask PostgreSQL raise `UnavailableError` while it is out of reach."""

    def __init__(self, database: Database | Reads) -> None:
        self._database = database
        self._archives = EventArchives()

    async def partitions(self) -> list[PartitionSight]:
        """Return the newest `LIST_MAX` partitions of events."""
        return await self._database.read(lambda connection: self._archives.partition_sizes(connection, LIST_MAX))

    async def archives(self) -> list[ArchiveSight]:
        """Return the newest `LIST_MAX` archives."""
        return await self._database.read(lambda connection: self._archives.list_newest(connection, LIST_MAX))

    def caches(self) -> list[CacheSight]:
        """Return how much the caches of answers save."""
        reads: dict[str, dict[str, float]] = {}
        for sample in read_series(metrics.CACHE_READS, "counter"):
            if sample.name.endswith("_total"):
                outcomes = reads.setdefault(sample.labels["cache"], {})
                outcome = sample.labels["outcome"]
                outcomes[outcome] = outcomes.get(outcome, 0.0) + sample.value
        return [_cache(name, outcomes) for name, outcomes in sorted(reads.items())]


def _cache(name: str, outcomes: dict[str, float]) -> CacheSight:
    total = sum(outcomes.values())
    return CacheSight(name, int(total), (total - outcomes.get("miss", 0.0)) / total if total else None)

"""Events of many months and their archive, and what must be true of both together."""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from grandstand.domain.events import Event
from grandstand.domain.ids import new_ids
from grandstand.domain.partitions import month_at
from grandstand.invariants.check import Subject
from grandstand.operations.archive_events import EventArchiver
from grandstand.operations.own_archive import OwnedPlace, Step, no_step
from grandstand.operations.rewrite_archives import ArchiveRewriter
from grandstand.settings import ENV_PREFIX
from grandstand.storage import archive_reader, parquet
from grandstand.storage.archive_places import open_place
from grandstand.storage.archive_reader import ArchivedEvents
from grandstand.storage.event_archives import EventArchives
from tests.support.core import Core, event
from tests.support.invariants import check_invariants
from tests.support.waiting import eventually

YEAR_END = datetime(2026, 12, 31, tzinfo=UTC)
AGE = timedelta(days=90)
SIGNS_OF_LIFE = """
SELECT pid, state_change FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle in transaction' AND query LIKE '%stands still%'
"""
"""When a session that waits in a transaction said something last."""


@dataclass
class Archive:
    """The archive of a core; `run` is one round of it at the end of 2026."""

    core: Core
    url: str

    def __post_init__(self) -> None:
        self.reader = ArchivedEvents(self.core.database, self.url)
        self.archives = EventArchives()

    def place(self, on_step: Step = no_step) -> OwnedPlace:
        """The place as one round writes to it."""
        return OwnedPlace(self.core.database, open_place(self.url), on_step=on_step)

    def archiver(self, on_step: Step = no_step, **options: Any) -> EventArchiver:
        return EventArchiver(
            self.core.database, self.core.ledger, self.archives, self.place(on_step), attempt_seconds=0.05,
            on_step=on_step, **options,
        )  # fmt: skip

    def rewriter(self) -> ArchiveRewriter:
        return ArchiveRewriter(self.core.database, self.archives, self.place())

    def environment(self, database_url: str, valkey_url: str, **more: str) -> dict[str, str]:
        """What a process of its own is given to work on this archive; `more` are settings without their prefix."""
        settings = {
            "database_url": database_url, "valkey_url": valkey_url, "valkey_prefix": self.core.prefix,
            "archive_url": self.url, **more,
        }  # fmt: skip
        return os.environ | {f"{ENV_PREFIX}{name.upper()}": value for name, value in settings.items()}

    async def run(self, now: datetime = YEAR_END, **options: Any) -> int:
        return await self.archiver(**options).archive(now - AGE, now)

    async def archived(self) -> list[UUID]:
        """The id of every event in the files that speak for events."""
        async with self.core.database.snapshot() as connection:
            await self.core.event_log.hold(connection)
            types = [row[0] for row in await connection.fetch("SELECT DISTINCT event_type FROM archive_files")]
            return [row["id"] async for chunk in self.reader.of_types(connection, types, 0) for row in chunk]

    async def live(self) -> list[UUID]:
        return [row[0] for row in await self.core.database.pool.fetch("SELECT id FROM events")]

    async def check(self, accepted: Sequence[Event]) -> None:
        """Live and archived events together are those that were accepted, each once."""
        assert sorted([*await self.live(), *await self.archived()]) == sorted(each.id for each in accepted)

    async def verify(self) -> None:
        """Hold every promise to it, as `grandstand verify --all` does."""
        subject = Subject(self.core.database, self.core.valkey, self.core.prefix, self.reader)
        await check_invariants(self.core, subject=subject)

    async def states(self) -> dict[str, list[str]]:
        rows = await self.core.database.pool.fetch("SELECT partition, state FROM event_archives ORDER BY archive_id")
        found: dict[str, list[str]] = {}
        for row in rows:
            found.setdefault(row["partition"], []).append(row["state"])
        return found

    def files(self) -> list[Path]:
        return sorted(path for path in Path(self.url).rglob("*") if path.is_file())


async def live_through(core: Core, count: int, *, months: Sequence[int] = range(1, 13), seed: int = 1) -> list[Event]:
    """Accept events spread over months of 2026, of three types and few players."""
    randomly = random.Random(seed)
    accepted: list[Event] = []
    for month in months:
        async with core.database.connection() as connection:
            await core.event_log.create_partition(connection, datetime(2026, month, 1, tzinfo=UTC))
        for _ in range(2):
            at = datetime(2026, month, randomly.randint(1, 28), randomly.randrange(24), tzinfo=UTC)
            events = [
                event(
                    f"p{randomly.randrange(20):02}", randomly.randrange(1000), at=at - timedelta(seconds=number),
                    event_type=randomly.choice(["game_ended", "game_ended", "enemy_down", "a/b ✓"]), event_id=event_id,
                )
                for number, event_id in enumerate(new_ids(count // len(months) // 2, at))
            ]  # fmt: skip
            for start in range(0, len(events), 4000):
                await core.apply(*events[start : start + 4000], received_at=at)
            accepted += events
    return accepted


def partition(month: int) -> str:
    return month_at(datetime(2026, month, 1, tzinfo=UTC)).name


def read_files_slowly(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """Let reading an archived file take until PostgreSQL has heard of whoever reads it again and again."""
    read = parquet.read_rows

    def slowly(*arguments: Any, **options: Any) -> Any:
        heard = set()
        with psycopg.connect(database_url, autocommit=True) as connection:

            def is_heard() -> bool:
                heard.update(connection.execute(SIGNS_OF_LIFE).fetchall())
                return len(heard) >= 3

            eventually(is_heard, what="signs of life are given")
        yield from read(*arguments, **options)

    monkeypatch.setattr(parquet, "read_rows", slowly)
    monkeypatch.setattr(archive_reader, "_SIGN_OF_LIFE_SECONDS", 0.05)

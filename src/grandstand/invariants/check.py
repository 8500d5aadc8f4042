"""What a check is: a stable name, what it promises, and a look at the engines that gives findings.

A check reads a deployment that goes on working. It sees PostgreSQL as of one moment, and calls a difference between
the engines a finding only when a second look, some seconds later, finds the same difference.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from valkey.asyncio import Valkey

from grandstand import clock
from grandstand.storage import queries
from grandstand.storage.archive_reader import ArchivedEvents
from grandstand.storage.event_log import EventLog
from grandstand.storage.event_stream import EventStream
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.stream_history import StreamHistory
from grandstand.storage.stream_inspector import StreamInspector
from grandstand.storage.stream_names import STREAMS_MAX

EXAMPLES_MAX = 10
"""Findings of one check that are told in detail; the others are counted."""

REST_SECONDS_MAX = 0.5
"""What a statement saw stays held while it rests."""


class Finding(msgspec.Struct):
    """One thing that is not as promised, with what identifies it."""

    message: str
    ids: dict[str, Any]


@dataclass
class Outcome:
    """What a look came to. `looked_at` counts what was compared, `undecided` what the stored data cannot tell."""

    looked_at: int = 0
    findings: int = 0
    undecided: int = 0
    examples: list[Finding] = field(default_factory=list)
    skipped: str = ""
    """Why there was nothing to look at; empty when there was."""

    def add(self, message: str, **ids: Any) -> None:
        """Count a finding."""
        self.findings += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(Finding(message, ids))

    def add_rows(self, rows: Sequence[Any], message: Callable[[Any], str], *ids: str) -> None:
        """Count findings that a statement gave: as many as its column `found` says, examples from the rows."""
        for row in rows:
            self.add(message(row), **{name: row[name] for name in ids})
        if rows:
            self.findings += rows[0]["found"] - len(rows)


@dataclass(frozen=True)
class Scope:
    """How much to look at, and with how much patience."""

    sample: int | None = 1000
    """How many of each kind (users, ids, rankings' entries) to look at; None for all."""
    seed: int = 0
    """Decides the sample: the same seed on the same data takes the same."""
    second_look_seconds: float = 3.0
    stale_seconds: float = 60.0
    """Age from which a delivery that nobody finishes is a finding; others take it over after a few seconds."""
    clock_difference_seconds: float = 5.0
    """How far the clocks of hosts may lie apart: what is nearer to a boundary than this is undecided."""
    statement_timeout_seconds: float = 60.0
    events_max: int | None = 200_000
    """Most events that one check reads when it looks at a sample."""
    rest_share: float = 0.0
    """How many times as long as a statement took nothing is asked after it, `REST_SECONDS_MAX` at most. Beside players:
    a statement then has one processor of the database at most, and the others get what they wait for in between."""
    stop: asyncio.Event | None = None
    """Ends rests early."""


@dataclass(frozen=True)
class Subject:
    """The deployment that is looked at."""

    database: Database
    valkey: Valkey
    prefix: str
    archived: ArchivedEvents | None = None
    """Reads archived events; without it nothing is decided of players who have some."""

    @property
    def index(self) -> RankingIndex:
        """The rank indexes."""
        return RankingIndex(self.valkey, self.prefix)


class Look:
    """One check's look at a deployment, for its functions to share."""

    def __init__(self, subject: Subject, scope: Scope) -> None:
        self.subject = subject
        self.scope = scope
        self.outcome = Outcome()

    @asynccontextmanager
    async def snapshot(self) -> "AsyncIterator[Connection[Any]]":
        """Lend a connection that sees the database as of one moment and cannot write.

        Raises:
            UnavailableError: the database is out of reach, or a statement takes longer than the scope allows.
        """
        async with self.subject.database.snapshot() as connection:
            # Recomputing reads much of large tables: what the planner is told for batches is not for it.
            await EventLog().hold(connection)
            if self.scope.rest_share:
                await connection.execute(queries.load("invariants/one_process.sql"))
            yield connection

    async def streams(self, *, registered: bool = True) -> list[StreamInspector]:
        """Return what looks at each event stream that is registered, or at those that are not."""
        async with self.subject.database.connection() as connection:
            numbers = await StreamHistory().read_marks(connection)
        client, prefix = self.subject.valkey, self.subject.prefix
        return [
            StreamInspector(client, EventStream(client, prefix, number=number))
            for number in range(STREAMS_MAX)
            if (number in numbers) == registered
        ]

    async def rows(self, connection: "Connection[Any]", name: str, *arguments: Any) -> Sequence[Any]:
        """Run the statement `sql/invariants/<name>.sql`."""
        statement = queries.load(f"invariants/{name}.sql")
        began_at = time.monotonic()
        rows: Sequence[Any] = await connection.fetch(
            statement, *arguments, timeout=self.scope.statement_timeout_seconds
        )
        if self.scope.rest_share:
            rest_seconds = min(REST_SECONDS_MAX, (time.monotonic() - began_at) * self.scope.rest_share)
            await clock.wait(self.scope.stop or asyncio.Event(), rest_seconds)
        return rows


@dataclass(frozen=True)
class Check:
    """A promise by name, and the look that finds out whether it is kept."""

    name: str
    promise: str
    """One sentence, for people."""
    look: Callable[[Look], Awaitable[None]]
    """Leaves what it finds in `Look.outcome`."""

"""Rows of the stages, each by itself in this process beside the least work that does the same.

- `read_batch`: judging request bodies of 100 events, beside only decoding the same bytes with msgspec into the same
  structs.
- `append`: `EventStream.append` in groups as the intake makes them, beside a raw pipeline of the same XADDs, both
  durable, two under way at a time. The pipelines are deeper than the groups, so they share more of the syncs.
- `apply`: `EventApplier.apply` without the rank index, so decoding, deduplication, storing and scoring in one
  transaction, beside COPY of as many rows, both on one connection.
- `publish`: `RankingIndex.publish` of entries that all changed, beside ZADD of as many members and scores in one
  command.

The stages work on a schema and keys of their own, beside those of the deployment, whose processes have nothing to do.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bench.core import forget_keys, own_core
from bench.measures import Row
from bench.raw_copy import COLUMNS, SIBLING, create_sibling
from bench.rows.whole_path import TRANSACTION_ROWS
from bench.suite import Suite
from bench.workload import ClientEvent, Workload, batches, body_of, row_of
from grandstand.bootstrap.core import Core
from grandstand.domain.events import HIGH_PRIORITY_TYPES, Event, EventLimits, encode_events, read_batch
from grandstand.domain.ranking import direction, member, to_microseconds
from grandstand.operations.accept_events import GROUP_EVENTS_MAX
from grandstand.operations.apply_events import EventApplier
from grandstand.operations.judge_events import EventJudge
from grandstand.storage.entries import Entry
from grandstand.storage.event_stream import HIGH, LOW, Block
from grandstand.storage.quarantine import QuarantineStore
from grandstand.storage.ranking_index import RankingIndex

NAME = "stages"
_LIMITS = EventLimits(
    batch_max=10_000,
    payload_max_bytes=16_384,
    past=timedelta(days=30),
    future=timedelta(minutes=10),
    score_fields={"game_ended": (("score",),)},
)
_APPENDS_AT_ONCE = 2
_PIPELINE_GROUPS = 10
_PUBLISH_ENTRIES = 1_000
_PUBLISH_RANKING = 1


class _NoIndex(RankingIndex):
    """Takes nothing: the stage ends with the transaction."""

    async def publish(self, entries: Iterable[Entry], directions: Mapping[int, int]) -> None:
        del entries, directions


class _Batch(msgspec.Struct, gc=False):
    events: list[Event]


_decode_batch = msgspec.json.Decoder(_Batch).decode


async def measure(suite: Suite) -> list[Row]:
    """Measure the four stages, round by round."""
    rows = [
        Row("read_batch", "stage: judge a batch", "events/s", [], [], "msgspec decode, same bytes"),
        Row("append", "stage: append to the stream, durable", "events/s", [], [], "raw XADD pipeline"),
        Row("apply", "stage: apply transaction", "events/s", [], [], "COPY, one connection"),
        Row("publish", "stage: publish to the rank index", "entries/s", [], [], "raw ZADD, as many a call"),
    ]
    async with own_core(suite, NAME) as core:
        stages = _Stages(suite, core)
        await stages.prepare()
        for number in range(suite.plan.rounds):
            suite.say(f"stages, round {number + 1} of {suite.plan.rounds}")
            events = Workload(suite.plan.players, suite.next_seed()).events(suite.plan.stage_events)
            others = Workload(suite.plan.players, suite.next_seed()).events(suite.plan.stage_events)
            figures = (
                stages.read_batch(events),
                await stages.append(events),
                await stages.apply(events, others),
                await stages.publish(suite.plan.players),
            )
            for row, (product, ceiling) in zip(rows, figures, strict=True):
                row.product.append(product)
                row.ceiling.append(ceiling)
    return rows


class _Stages:
    def __init__(self, suite: Suite, core: Core) -> None:
        self._suite = suite
        self._core = core
        self._version = 0
        self._applier = EventApplier(
            core.database, core.ledger, core.event_log, core.catalog, EventJudge(QuarantineStore()),
            core.folder(), _NoIndex(core.valkey, core.settings.valkey_prefix), core.changes,
        )  # fmt: skip

    async def prepare(self) -> None:
        async with self._core.database.connection() as connection:
            await self._core.event_log.create_partition(connection, datetime.now(UTC))
        await self._core.definer().ensure_global()
        await create_sibling(self._suite.database_url, self._schema)
        await self._applier.apply(_blocks(Workload(self._suite.plan.players, 0).events(100)))

    @property
    def _schema(self) -> str:
        return self._core.settings.database_schema

    def read_batch(self, events: list[ClientEvent]) -> tuple[float, float]:
        bodies = [body_of(batch) for batch in batches(events, self._suite.plan.batch_size)]
        now = datetime.now(UTC)

        def judge_all() -> None:
            for body in bodies:
                read_batch(body, _LIMITS, now)

        def decode_all() -> None:
            for body in bodies:
                _decode_batch(body)

        return len(events) / _seconds_of(judge_all), len(events) / _seconds_of(decode_all)

    async def append(self, events: list[ClientEvent]) -> tuple[float, float]:
        now = datetime.now(UTC)
        groups = [_by_priority(group) for group in batches(events, GROUP_EVENTS_MAX)]
        encoded = [[(len(part), encode_events(part)) for part in group if part] for group in groups]

        async def append(group: tuple[list[Event], list[Event]]) -> None:
            await self._core.streams.append(*group, now)

        async def add(entries: list[list[tuple[int, bytes]]]) -> None:
            async with self._core.valkey.pipeline(transaction=False) as pipe:
                for place, (count, data) in ((place, entry) for group in entries for place, entry in enumerate(group)):
                    fields: dict[str, Any] = {"n": count, "r": to_microseconds(now), "e": data}
                    pipe.xadd(f"{self._schema}:raw:{place}", fields)
                await pipe.execute()

        pipelines = [encoded[start : start + _PIPELINE_GROUPS] for start in range(0, len(encoded), _PIPELINE_GROUPS)]
        product = len(events) / await _all_seconds(append, groups)
        ceiling = len(events) / await _all_seconds(add, pipelines)
        await forget_keys(self._core)
        return product, ceiling

    async def apply(self, events: list[ClientEvent], others: list[ClientEvent]) -> tuple[float, float]:
        deliveries = [_blocks(batch) for batch in batches(events, TRANSACTION_ROWS)]
        now = datetime.now(UTC)
        chunks = [[row_of(event, now) for event in batch] for batch in batches(others, TRANSACTION_ROWS)]
        self._suite.settle()
        began_at = time.perf_counter()
        for blocks in deliveries:
            await self._applier.apply(blocks)
        product_seconds = time.perf_counter() - began_at
        self._suite.settle()
        async with self._core.database.connection() as connection:
            began_at = time.perf_counter()
            for chunk in chunks:
                await connection.copy_records_to_table(
                    SIBLING, schema_name=self._schema, records=chunk, columns=COLUMNS
                )
            ceiling_seconds = time.perf_counter() - began_at
        return len(events) / product_seconds, len(events) / ceiling_seconds

    async def publish(self, players: int) -> tuple[float, float]:
        now = datetime.now(UTC)
        self._version += 1
        entries = [
            Entry(
                _PUBLISH_RANKING,
                f"player-{number:06d}",
                (number * 7919 + self._version) % 1_000_003,
                b"",
                now,
                None,
                self._version,
            )
            for number in range(players)
        ]
        chunks = [entries[start : start + _PUBLISH_ENTRIES] for start in range(0, players, _PUBLISH_ENTRIES)]
        scores = [{member(b"", now, entry.user_id): -entry.score for entry in chunk} for chunk in chunks]
        began_at = time.perf_counter()
        for chunk in chunks:
            await self._core.index.publish(chunk, {_PUBLISH_RANKING: direction("desc")})
        product_seconds = time.perf_counter() - began_at
        began_at = time.perf_counter()
        for mapping in scores:
            await self._core.valkey.zadd(f"{self._schema}:raw:ranks", mapping)
        ceiling_seconds = time.perf_counter() - began_at
        return players / product_seconds, players / ceiling_seconds


def _stream_event(event: ClientEvent) -> Event:
    payload = msgspec.Raw(msgspec.json.encode(event.payload))
    return Event(event.event_type, event.user_id, payload, event.id, event.occurred_at)


def _by_priority(events: list[ClientEvent]) -> tuple[list[Event], list[Event]]:
    made = [_stream_event(event) for event in events]
    high = [event for event in made if event.event_type in HIGH_PRIORITY_TYPES]
    return high, [event for event in made if event.event_type not in HIGH_PRIORITY_TYPES]


def _blocks(events: list[ClientEvent]) -> list[Block]:
    """Return the events as the stream would deliver them."""
    now = datetime.now(UTC)
    return [
        Block(priority, b"0-0", len(part), now, data := encode_events(part), len(data))
        for group in batches(events, GROUP_EVENTS_MAX)
        for priority, part in zip((HIGH, LOW), _by_priority(group), strict=True)
        if part
    ]


def _seconds_of(work: Callable[[], None]) -> float:
    began_at = time.perf_counter()
    work()
    return time.perf_counter() - began_at


async def _all_seconds(work: Callable[[Any], Awaitable[None]], items: list[Any]) -> float:
    waiting = iter(items)

    async def take() -> None:
        for item in waiting:
            await work(item)

    began_at = time.perf_counter()
    await asyncio.gather(*(take() for _ in range(_APPENDS_AT_ONCE)))
    return time.perf_counter() - began_at

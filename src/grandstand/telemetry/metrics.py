"""Every number that `/metrics` shows, in Prometheus' text format.

With `PROMETHEUS_MULTIPROC_DIR` set (the supervisor sets it for its children) the processes of a deployment write into
files of that folder and any of them answers for all; without it a process answers for itself. Values of labels come
from bounded sets: definitions, codes and routes, never from what a caller sends.
"""

import os
import time
from collections.abc import Sequence
from typing import Literal, Protocol, get_args
from weakref import WeakSet

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
    values,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

if MULTIPROCESS_VARIABLE in os.environ:
    # Ours do not fork once they count, so the process is asked for its number once and not at every increment.
    _PID = os.getpid()
    values.ValueClass = values.MultiProcessValue(lambda: _PID)  # type: ignore[no-untyped-call]

# When a series began is of no use here and would double their number.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
"""Holds all metrics of this process."""

FAST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LAG_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

Stage = Literal["append", "deliver", "apply", "publish", "settle", "webhook", "archive", "rollup", "rebuild"]
"""What happens behind the requests; these have `grandstand_http_…` for theirs."""

_STAGE_SECONDS = Histogram(
    "grandstand_stage_seconds",
    "Time of one run of a stage: append (a write to the stream, until it is durable), deliver (the oldest block of a "
    "batch, from its receipt), apply (a batch's transaction), publish (its rank index), settle (a tournament), webhook "
    "(an attempt), archive (a round), rollup (a count of batches), rebuild (of a ranking's index).",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)
_STAGE_ERRORS = Counter(
    "grandstand_stage_errors",
    "Runs of a stage that failed. What failed is done again: of events, webhooks, rounds.",
    ["stage"],
    registry=REGISTRY,
)
STAGE_WAITING = Gauge(
    "grandstand_stage_waiting",
    "What waits for a stage inside the processes: append (events of requests), webhook (attempts under way), rebuild "
    "(incomplete rankings). For deliver it is grandstand_stream_depth, for rollup grandstand_rollup_lag_seconds.",
    ["stage"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
_STAGE_SERIES = {stage: (_STAGE_SECONDS.labels(stage), _STAGE_ERRORS.labels(stage)) for stage in get_args(Stage)}


class Tallied(Histogram):
    """A histogram that also takes many observations at once, counted by whoever made them."""

    def add(self, counts: Sequence[int], amount: float) -> None:
        """Add observations: how many fell into each bucket (the last one is without a bound), and their sum."""
        self._sum.inc(amount)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)


class Pending(Protocol):
    """Whoever holds counts back for a moment."""

    def flush(self) -> None:
        """Hand them to the metrics."""


_pending: WeakSet[Pending] = WeakSet()


def note_pending(counts: Pending) -> None:
    """Have counts that are held back asked for, before this process shows its metrics."""
    _pending.add(counts)


def flush_pending() -> None:
    """Have all counts that are held back handed to the metrics."""
    for counts in tuple(_pending):
        counts.flush()


EVENTS_ACCEPTED = Counter(
    "grandstand_events_accepted", "Events acknowledged, durable in the stream.", ["priority"], registry=REGISTRY
)
EVENTS_REJECTED = Counter("grandstand_events_rejected", "Events refused, by code.", ["code"], registry=REGISTRY)
HTTP_REQUESTS = Counter("grandstand_http_requests", "Requests answered.", ["route", "status"], registry=REGISTRY)
HTTP_REQUEST_SECONDS = Tallied(
    "grandstand_http_request_seconds",
    "Time from a request's first byte to its answer.",
    ["route"],
    buckets=FAST_SECONDS,
    registry=REGISTRY,
)
RATE_LIMITED = Counter(
    "grandstand_rate_limited", "Requests refused by a rate limit, by what it counts.", ["counter"], registry=REGISTRY
)
RATE_LIMITS_LOCAL = Counter(
    "grandstand_rate_limits_local",
    "Times that a process began to count requests alone, because the shared counts were out of reach or slow.",
    registry=REGISTRY,
)
CONNECTIONS_REFUSED = Counter(
    "grandstand_connections_refused", "Connections refused because there were too many.", registry=REGISTRY
)
STREAM_WRITE_EVENTS = Histogram(
    "grandstand_stream_write_events",
    "Events that shared one write to the stream.",
    buckets=(1, 3, 10, 30, 100, 300, 1000, 3000),
    registry=REGISTRY,
)

STREAM_LOSSES = Counter(
    "grandstand_stream_losses",
    "Times that the stream was found to have lost acknowledged events, by reason.",
    ["reason"],
    registry=REGISTRY,
)
EVENTS_REFUSED = Counter(
    "grandstand_events_refused",
    "Events answered with 503, by reason: full (the stream), unavailable (it is out of reach), busy (this process).",
    ["reason"],
    registry=REGISTRY,
)

CACHE_READS = Counter(
    "grandstand_cache_reads",
    "Answers asked of a cache, by outcome: hit, shared (with a read that was under way), miss.",
    ["cache", "outcome"],
    registry=REGISTRY,
)
STREAM_DEPTH = Gauge(
    "grandstand_stream_depth",
    "Acknowledged events that are not processed yet, as a scheduler saw last.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
STREAM_LAG_SECONDS = Gauge(
    "grandstand_stream_lag_seconds",
    "Age of the oldest event that is not processed yet, as a scheduler saw last; 0 when none waits.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
ROLLUP_LAG_SECONDS = Gauge(
    "grandstand_rollup_lag_seconds",
    "Age of the oldest batch that rollups do not count yet, as the leading scheduler saw last; 0 when all is counted, "
    "and where another one leads.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
ROLLUP_QUEUE_EVENTS = Gauge(
    "grandstand_rollup_queue_events",
    "Events that rollups do not count yet, as the leading scheduler saw last.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
EVENTS_STORED = Counter("grandstand_events_stored", "Events stored for the first time.", registry=REGISTRY)
EVENTS_DUPLICATE = Counter("grandstand_events_duplicate", "Events whose id was stored already.", registry=REGISTRY)
SCORES_UNRANKED = Counter(
    "grandstand_scores_unranked",
    "Stored events whose value a board could not rank.",
    ["leaderboard", "reason"],
    registry=REGISTRY,
)
QUARANTINE_DECISIONS = Counter(
    "grandstand_quarantine_decisions",
    "Quarantined events that were decided, by decision: released, rejected.",
    ["decision"],
    registry=REGISTRY,
)
RANKING_DRIFT = Counter(
    "grandstand_ranking_drift",
    "Entries of rank indexes that differed from the database and were mended.",
    registry=REGISTRY,
)
POOL_CONNECTIONS = Gauge(
    "grandstand_pool_connections",
    "Connections to PostgreSQL by pool (write, read) and state: total, idle, max (the most that may be open).",
    ["pool", "state"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
POOL_WAITING = Gauge(
    "grandstand_pool_waiting",
    "Callers that wait for a connection of a pool.",
    ["pool"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
POOL_ACQUIRE_SECONDS = Histogram(
    "grandstand_pool_acquire_seconds",
    "Time that callers waited for a connection of a pool, those included who got none.",
    ["pool"],
    buckets=FAST_SECONDS,
    registry=REGISTRY,
)
DATABASE_READS = Counter(
    "grandstand_database_reads",
    "Reads of PostgreSQL that a replica may answer, by the pool that was asked: read (of the primary), replica-1 …",
    ["pool"],
    registry=REGISTRY,
)
REPLICA_LAG_SECONDS = Gauge(
    "grandstand_replica_lag_seconds",
    "For how long what a replica lacks may have been there, as the process sees it that is worst off; +Inf: unknown.",
    ["pool"],
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
REPLICA_UP = Gauge(
    "grandstand_replica_up",
    "1 while every process finds that a replica answers and has the schema of this version.",
    ["pool"],
    registry=REGISTRY,
    multiprocess_mode="livemin",
)
LIVE_LISTENERS = Gauge(
    "grandstand_live_listeners",
    "Listeners of live boards.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
LIVE_READS = Counter(
    "grandstand_live_reads", "Boards read for live listeners; one read serves all of them.", registry=REGISTRY
)
LIVE_DROPPED = Counter(
    "grandstand_live_dropped", "Live listeners dropped because they took nothing for too long.", registry=REGISTRY
)
REBUILT_ENTRIES = Counter(
    "grandstand_ranking_rebuilt_entries", "Entries that rebuilds have brought into rank indexes.", registry=REGISTRY
)
BATCH_EVENTS = Histogram(
    "grandstand_batch_events",
    "Events in one transaction of a worker.",
    buckets=(1, 3, 10, 30, 100, 300, 1000, 3000, 10_000),
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "grandstand_batch_seconds",
    "Time from reading a batch to its last effect.",
    buckets=FAST_SECONDS,
    registry=REGISTRY,
)
VISIBLE_SECONDS = Histogram(
    "grandstand_visible_seconds",
    "Time from receiving an event to its effect on the ranks.",
    buckets=_LAG_SECONDS,
    registry=REGISTRY,
)
BATCHES_SPLIT = Counter(
    "grandstand_batches_split", "Batches that failed and were split to find the bad event.", registry=REGISTRY
)
EVENTS_RETRIED = Counter("grandstand_events_retried", "Further attempts at events that had failed.", registry=REGISTRY)
DEAD_LETTERS = Counter(
    "grandstand_dead_letters",
    "Events that became dead letters, by reason: unreadable, refused (by the database), failed, worker_lost.",
    ["reason"],
    registry=REGISTRY,
)
LEADING = Gauge(
    "grandstand_leading",
    "1 for the scheduler that leads; the sum over all processes is 1 but for seconds at a take-over.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
WEBHOOK_ATTEMPTS = Counter(
    "grandstand_webhook_attempts",
    "Attempts to deliver a webhook, by outcome: delivered, retried, dead.",
    ["outcome"],
    registry=REGISTRY,
)
ARCHIVE_ROUNDS = Counter(
    "grandstand_archive_rounds",
    "Rounds of archiving that had something to do, by outcome: done, failed, refused (not this database's).",
    ["outcome"],
    registry=REGISTRY,
)  # fmt: skip
INVARIANT_FINDINGS = Gauge(
    "grandstand_invariant_findings",
    "What the last look at a promise found that is not as promised; anything but 0 is a reason to look at the log.",
    ["check"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
INVARIANT_CHECKED = Counter(
    "grandstand_invariant_checked", "What looks at a promise have compared.", ["check"], registry=REGISTRY
)
INVARIANT_LAST_RUN = Gauge(
    "grandstand_invariant_last_run_timestamp_seconds",
    "When a promise was looked at last, in seconds since 1970.",
    ["check"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)

# Prometheus sees no increase in a series that begins with it, and no alert would fire.
for _counter, _values in (
    (EVENTS_ACCEPTED, ("high", "low")),
    (STREAM_LOSSES, ("vanished", "went_back", "blocks_missing")),
    (EVENTS_REFUSED, ("full", "unavailable", "busy")),
    (DEAD_LETTERS, ("unreadable", "refused", "failed", "worker_lost")),
    (WEBHOOK_ATTEMPTS, ("delivered", "retried", "dead")),
    (ARCHIVE_ROUNDS, ("done", "failed", "refused")),
):
    for _value in _values:
        _counter.labels(_value)


class timed:  # noqa: N801 - stands behind `with`, as functions of contextlib do, and costs half of what these cost
    """Count a run of a stage, with its time, and as a failure when it raises."""

    __slots__ = ("_began_at", "_stage")

    def __init__(self, stage: Stage) -> None:
        self._stage: Stage = stage
        self._began_at = 0.0

    def __enter__(self) -> None:
        self._began_at = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        is_error = kind is not None and issubclass(kind, Exception)
        observe(self._stage, time.perf_counter() - self._began_at, is_error=is_error)


def observe(stage: Stage, seconds: float, *, is_error: bool = False) -> None:
    """Count a run of a stage that was timed otherwise."""
    taken, errors = _STAGE_SERIES[stage]
    taken.observe(seconds)
    if is_error:
        errors.inc()


def render() -> bytes:
    """Return all metrics in the text format: of all processes that share the folder, or of this one."""
    flush_pending()
    if MULTIPROCESS_VARIABLE not in os.environ:
        return generate_latest(REGISTRY)
    shared = CollectorRegistry()
    multiprocess.MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return generate_latest(shared)

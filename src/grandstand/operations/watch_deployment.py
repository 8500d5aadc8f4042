"""What people look at to see how a deployment is doing: computed once for all, while somebody looks."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Literal, NamedTuple, TypeVar

from grandstand import clock
from grandstand.domain.errors import UnavailableError
from grandstand.operations.analytics_views import DayOverview
from grandstand.operations.check_health import Health, HealthChecker, PoolHealth
from grandstand.operations.manage_dead_letters import DeadLetterManager
from grandstand.operations.manage_quarantine import QuarantineManager
from grandstand.operations.read_analytics import AnalyticsReader
from grandstand.operations.report_questions import Span
from grandstand.operations.route_reads import Reads
from grandstand.operations.watch_load import LOOK_SECONDS, LoadWatch, Look
from grandstand.telemetry import metrics
from grandstand.telemetry.shared_series import read_series

DAYS_SECONDS = 300.0
"""Age at which the counts of days are asked for again: they read a month of rollups."""

DAYS_EMPTY_SECONDS = 20.0
"""The same while nobody has played today: whoever sends a first event looks whether it came."""

LAG_HIGH_SECONDS = 5.0
_WEEK = timedelta(days=7)

T = TypeVar("T")


class Alert(NamedTuple):
    """Something to look after; `about` says where more is to be found."""

    level: Literal["bad", "warn"]
    about: Literal["engine", "loss", "lag", "replica", "promise", "dead-letters", "quarantine"]
    text: str


class ReplicaSight(NamedTuple):
    """A read replica; `lag_seconds` is None while unknown."""

    name: str
    is_up: bool
    lag_seconds: float | None


class Sight(NamedTuple):
    """The deployment at one moment, as one process sees it. `looks` are the oldest first."""

    health: Health
    pools: PoolHealth
    looks: Sequence[Look]
    replicas: Sequence[ReplicaSight]
    alerts: Sequence[Alert]
    today: DayOverview | None
    week_ago: DayOverview | None

    @property
    def last(self) -> Look | None:
        """The newest look at the stream."""
        return self.looks[-1] if self.looks else None


class DeploymentWatch:
    """Sees for one process."""

    def __init__(
        self,
        health: HealthChecker,
        load: LoadWatch,
        reads: Reads,
        letters: DeadLetterManager,
        quarantine: QuarantineManager,
        analytics: AnalyticsReader,
    ) -> None:
        self._health = health
        self._load = load
        self._reads = reads
        self._letters = letters
        self._quarantine = quarantine
        self._analytics = analytics
        self._turn = asyncio.Lock()
        self._seen: tuple[float, Sight] | None = None
        self._days: dict[str, DayOverview] = {}
        self._days_asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def see(self) -> Sight:
        """Return how it is now, or was a moment ago (`LOOK_SECONDS`); an engine that is away is part of the answer."""
        async with self._turn:
            if self._seen is None or time.monotonic() - self._seen[0] >= LOOK_SECONDS / 2:
                sight = await self._look()
                self._seen = time.monotonic(), sight
            return self._seen[1]

    async def _look(self) -> Sight:
        self._ask_for_days()
        health, letters, held = await asyncio.gather(
            self._health.health(),
            _unless_away(self._letters.list(status="dead", limit=1)),
            _unless_away(self._quarantine.list(status="held", limit=1)),
        )
        replicas = self.replicas()
        alerts = _alerts(health, replicas)
        if letters is not None and letters.dead_letters:
            alerts.append(Alert("warn", "dead-letters", "There are events that could not be processed."))
        if held is not None and held.quarantine:
            alerts.append(Alert("warn", "quarantine", "There are events in quarantine."))
        today = clock.now().date()
        return Sight(
            health, self._health.pools(), self._load.looks, replicas, alerts,
            self._days.get(today.isoformat()), self._days.get((today - _WEEK).isoformat()),
        )  # fmt: skip

    def replicas(self) -> list[ReplicaSight]:
        """Return the read replicas as they were seen last."""
        watch = self._reads.watch
        if watch is None:
            return []
        lags = [(replica, replica.lag_seconds()) for replica in watch.replicas]
        return [
            ReplicaSight(replica.name, bool(replica.is_up), None if lag == float("inf") else lag)
            for replica, lag in lags
        ]

    def _ask_for_days(self) -> None:
        """Have the days counted again when they are old; nobody waits for it."""
        today = self._days.get(clock.now().date().isoformat())
        age_max_seconds = DAYS_SECONDS if today is not None and today.dau else DAYS_EMPTY_SECONDS
        if time.monotonic() - self._days_asked_at < age_max_seconds and self._days:
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._count_days(), name="count the days of the overview")

    async def _count_days(self) -> None:
        today = clock.now().date()
        found = await _unless_away(
            self._analytics.overview(Span(from_=(today - _WEEK).isoformat(), to=today.isoformat()))
        )
        if found is not None:
            self._days = {day.date.isoformat(): day for day in found.days}
            self._days_asked_at = time.monotonic()


def _alerts(health: Health, replicas: Sequence[ReplicaSight]) -> list[Alert]:
    alerts = []
    loss = health.stream.loss
    if loss is not None:
        text = f"Acknowledged events were lost ({loss.reason}): {loss.events_at_risk:,} at most were waiting."
        alerts.append(Alert("bad", "loss", text))
    for name, state in (("PostgreSQL", health.postgres), ("Valkey", health.valkey)):
        if state != "ok":
            alerts.append(Alert("bad", "engine", f"{name} does not answer."))
    lag = health.stream.lag_seconds
    if lag is not None and lag > LAG_HIGH_SECONDS:
        alerts.append(Alert("warn", "lag", f"Processing is {lag:,.0f} seconds behind."))
    alerts += [
        Alert("warn", "replica", f"The read replica {replica.name} is away.")
        for replica in replicas
        if not replica.is_up
    ]
    alerts += [
        Alert("bad", "promise", f"The check of {sample.labels['check']} found {sample.value:,.0f} not as promised.")
        for sample in read_series(metrics.INVARIANT_FINDINGS, "gauge_mostrecent")
        if sample.value
    ]
    return alerts


async def _unless_away(question: Awaitable[T]) -> T | None:
    try:
        return await question
    except UnavailableError:
        return None

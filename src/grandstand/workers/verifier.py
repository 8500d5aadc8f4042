"""Holds a deployment's promises to a sample of its data, again and again, each time to another one."""

import asyncio

import structlog

from grandstand import clock
from grandstand.invariants.check import Scope, Subject
from grandstand.invariants.run import run_checks
from grandstand.telemetry import metrics

SAMPLE = 200
STATEMENT_TIMEOUT_SECONDS = 10.0
EVENTS_MAX = 50_000
REST_SHARE = 4.0

_log = structlog.get_logger(__name__)


class Verifier:
    """Runs every check on a sample; what it finds is logged and counted, and mended by nobody."""

    def __init__(self, subject: Subject, *, scope: Scope | None = None, stop: asyncio.Event | None = None) -> None:
        """Without a `scope` it looks at a sample, gently, until the `stop`."""
        self._subject = subject
        self._scope = scope
        self._stop = stop
        self._round = 0

    async def verify(self) -> int:
        """Run every check once; return how many findings there are. An engine that is away is not one."""
        self._round += 1
        count = 0
        async for report in run_checks(self._subject, self._scope or self._next_scope()):
            if self._stop is not None and self._stop.is_set():
                break
            metrics.INVARIANT_CHECKED.labels(report.name).inc(report.looked_at)
            if report.status == "failed":
                _log.warning("invariant_not_checked", check=report.name, reason=report.reason)
                continue
            metrics.INVARIANT_FINDINGS.labels(report.name).set(report.findings)
            metrics.INVARIANT_LAST_RUN.labels(report.name).set(clock.now().timestamp())
            if report.findings:
                count += report.findings
                _log.error(
                    "invariant_broken",
                    check=report.name,
                    promise=report.promise,
                    findings=report.findings,
                    examples=[{"message": each.message, **each.ids} for each in report.examples],
                )
        return count

    def _next_scope(self) -> Scope:
        # The time keeps a scheduler that has just started from drawing what the one before it has drawn.
        return Scope(
            sample=SAMPLE,
            seed=int(clock.now().timestamp()) + self._round,
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            events_max=EVENTS_MAX,
            rest_share=REST_SHARE,
            stop=self._stop,
        )

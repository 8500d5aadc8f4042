"""Runs checks one after the other and says what each came to."""

import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from valkey.exceptions import ValkeyError

from grandstand.domain.errors import UnavailableError
from grandstand.invariants.check import Check, Finding, Look, Scope, Subject
from grandstand.invariants.registry import CHECKS
from grandstand.storage.postgres import OUT_OF_REACH

Status = Literal["ok", "findings", "skipped", "failed"]


class CheckReport(msgspec.Struct, kw_only=True):
    """What one check came to. `failed`: it could not be run to its end; `reason` says why, as for `skipped`."""

    name: str
    promise: str
    status: Status
    looked_at: int
    undecided: int
    findings: int
    examples: list[Finding]
    reason: str | None
    seconds: float


class Report(msgspec.Struct, kw_only=True):
    """What all checks came to; `sample` is null when everything was looked at."""

    is_ok: bool
    started_at: datetime
    seconds: float
    sample: int | None
    seed: int
    checks: list[CheckReport]


class UnknownCheckError(Exception):
    """There is no check of this name; the message lists those that are."""


def find_checks(names: Sequence[str]) -> tuple[Check, ...]:
    """Return the checks of these names in their own order; all when no name is given.

    Raises:
        UnknownCheckError: a name that no check has.
    """
    known = {check.name for check in CHECKS}
    for name in names:
        if name not in known:
            raise UnknownCheckError(
                f"There is no check {name!r}; there are {', '.join(check.name for check in CHECKS)}."
            )
    return tuple(check for check in CHECKS if not names or check.name in names)


async def run_checks(subject: Subject, scope: Scope, checks: Sequence[Check] = CHECKS) -> AsyncIterator[CheckReport]:
    """Run checks and yield what each came to; a check that cannot be run does not keep the others from running."""
    for check in checks:
        yield await _run(subject, scope, check)


async def _run(subject: Subject, scope: Scope, check: Check) -> CheckReport:
    look = Look(subject, scope)
    started = time.perf_counter()
    reason = None
    try:
        await check.look(look)
    except (UnavailableError, ValkeyError, *OUT_OF_REACH) as error:
        # In the words of what happened: a time-out of a statement comes as its cause.
        cause = error.__cause__ or error
        reason = f"{type(cause).__name__}: {cause}".rstrip(": ")
    outcome = look.outcome
    status: Status = "failed" if reason is not None else "ok"
    if outcome.findings:
        status = "findings"
    elif reason is None and not outcome.looked_at and not outcome.undecided:
        status, reason = "skipped", outcome.skipped or "nothing to look at"
    return CheckReport(
        name=check.name,
        promise=check.promise,
        status=status,
        looked_at=outcome.looked_at,
        undecided=outcome.undecided,
        findings=outcome.findings,
        examples=outcome.examples,
        reason=reason,
        seconds=round(time.perf_counter() - started, 3),
    )

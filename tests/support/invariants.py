"""The checks of `grandstand verify`, as the last word of a test: whatever it did, every promise is kept."""

from collections.abc import Collection
from typing import Any

from grandstand.invariants.check import Scope, Subject
from grandstand.invariants.registry import CHECKS
from grandstand.invariants.run import CheckReport, run_checks
from grandstand.workers.partition_keeper import PartitionKeeper
from tests.support.core import Core

ALL_AT_REST = Scope(
    sample=None, second_look_seconds=0.05, stale_seconds=0.0, clock_difference_seconds=0.0, statement_timeout_seconds=60
)
"""Everything is looked at, and nothing is forgiven: no clocks differ and nobody is at work."""


def subject_of(core: Core) -> Subject:
    return Subject(core.database, core.valkey, core.prefix)


async def reports(core: Core, scope: Scope = ALL_AT_REST, subject: Subject | None = None) -> dict[str, CheckReport]:
    """What every check comes to, by name."""
    return {report.name: report async for report in run_checks(subject or subject_of(core), scope, CHECKS)}


async def broken(core: Core, scope: Scope = ALL_AT_REST, subject: Subject | None = None) -> dict[str, list[str]]:
    """The promises that are not kept, each with examples; a check that could not be run counts as well."""
    return {
        name: [f"{each.message} {each.ids}" for each in report.examples] or [str(report.reason)]
        for name, report in (await reports(core, scope, subject)).items()
        if report.status in ("findings", "failed")
    }


async def check_invariants(
    core: Core, *, but: Collection[str] = (), subject: Subject | None = None
) -> dict[str, CheckReport]:
    """Bring in what loops of a deployment would bring in, then hold every promise."""
    await PartitionKeeper(core.database, core.event_log, ahead=1).keep()
    for _ in range(2):
        await core.new_keeper().keep()
    found: dict[str, Any] = {
        name: examples for name, examples in (await broken(core, subject=subject)).items() if name not in but
    }
    assert not found
    return await reports(core, subject=subject)

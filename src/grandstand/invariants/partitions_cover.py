"""The days that events arrive on have their partitions, with the names that say what they hold."""

from grandstand import clock
from grandstand.domain.partitions import list_faults
from grandstand.invariants.check import Check, Look
from grandstand.storage.event_log import EventLog


async def _look(look: Look) -> None:
    async with look.snapshot() as connection:
        held = await EventLog().partitions(connection)
    look.outcome.looked_at = len(held)
    for fault in list_faults(held, clock.now()):
        look.outcome.add(fault)


PARTITIONS_COVER = Check(
    "partitions_cover", "Partitions hold today and what follows without a gap, each what its name says.", _look
)

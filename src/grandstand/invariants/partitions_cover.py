"""The months that events arrive in have their partitions."""

from grandstand import clock
from grandstand.invariants.check import Check, Look
from grandstand.storage.event_log import EventLog, month_of, next_month, partition_name


async def _look(look: Look) -> None:
    month = month_of(clock.now())
    async with look.snapshot() as connection:
        held = await EventLog().partitions(connection)
    for wanted in (partition_name(month), partition_name(next_month(month))):
        look.outcome.looked_at += 1
        if wanted not in held:
            look.outcome.add(f"the partition {wanted} is missing", partition=wanted)


PARTITIONS_COVER = Check("partitions_cover", "The partitions of this month and of the next exist.", _look)

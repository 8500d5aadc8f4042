"""What happened was put into the outbox with it."""

from datetime import datetime, timedelta
from uuid import UUID

from grandstand import clock
from grandstand.domain.ranking import to_microseconds
from grandstand.invariants.check import EXAMPLES_MAX, Check, Look

_SINCE = timedelta(hours=24)
"""How far back it is looked: what was told longer ago may have been cleared away."""


async def _look(look: Look) -> None:
    since = clock.now() - _SINCE
    # Ids are UUIDv7 of the moment: what was written with it has a later one, on whichever host.
    first_id = _first_id(since - timedelta(hours=1))
    async with look.snapshot() as connection:
        look.outcome.looked_at = (await look.rows(connection, "count_told", since))[0][0]
        settlements = await look.rows(connection, "untold_settlements", since, first_id, EXAMPLES_MAX)
        prizes = await look.rows(connection, "untold_prizes", since, first_id, EXAMPLES_MAX)
    look.outcome.add_rows(
        settlements,
        lambda row: f"the settlement of {row['tournament_id']}/{row['occurrence']} is not in the outbox",
        "tournament_id",
        "occurrence",
    )
    look.outcome.add_rows(prizes, lambda row: f"the prize {row['prize_id']} is not in the outbox", "prize_id")


def _first_id(moment: datetime) -> UUID:
    return UUID(int=(to_microseconds(moment) // 1000) << 80)


OUTBOX_COMPLETE = Check(
    "outbox_complete",
    "Every settlement and every prize of the last day was put into the outbox with it.",
    _look,
)

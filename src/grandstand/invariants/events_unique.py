"""No id is stored twice: not in a partition, and not across partitions, where no index stands guard."""

from grandstand.invariants.check import EXAMPLES_MAX, Check, Look
from grandstand.invariants.sampling import page_percent


async def _look(look: Look) -> None:
    scope, outcome = look.scope, look.outcome
    async with look.snapshot() as connection:
        for row in await look.rows(connection, "unguarded_partitions"):
            outcome.add(f"the partition {row['name']} has no unique index on id", partition=row["name"])
        if scope.sample is None:
            outcome.looked_at = (await look.rows(connection, "count_events"))[0][0]
            copies = await look.rows(connection, "find_all_copies", EXAMPLES_MAX)
        else:
            percent = await page_percent(look, connection, "events")
            drawn = await look.rows(connection, "sample_event_ids", percent, scope.seed, str(scope.seed), scope.sample)
            outcome.looked_at = len(drawn)
            copies = await look.rows(connection, "find_copies", [row[0] for row in drawn], EXAMPLES_MAX)
    outcome.add_rows(copies, lambda row: f"the event {row['id']} is stored {row['copies']} times", "id")


EVENTS_UNIQUE = Check("events_unique", "Every stored event has an id of its own, in all partitions together.", _look)

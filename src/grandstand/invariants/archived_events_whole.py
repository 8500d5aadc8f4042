"""What left PostgreSQL is in the archive: every event once, in the table or in files, and its id known for ever."""

from grandstand.invariants.check import EXAMPLES_MAX, Check, Look


async def _look(look: Look) -> None:
    outcome = look.outcome
    async with look.snapshot() as connection:
        archives = await look.rows(connection, "archive_counts")
        ids: dict[int, int] | None = None
        if look.scope.sample is None and archives:
            ids = {row["archive_id"]: row["ids"] for row in await look.rows(connection, "archived_ids_counts")}
            copies = await look.rows(connection, "archived_twice", EXAMPLES_MAX)
            outcome.add_rows(copies, lambda row: f"the event {row['id']} is stored and archived", "id", "archive_id")
        outcome.skipped = "no events are archived"
        for row in archives:
            outcome.looked_at += 1
            counts = {"of files": row["in_files"], "of players": row["of_users"]}
            if ids is not None:
                counts["of ids"] = ids.get(row["archive_id"], 0)
            for name, count in counts.items():
                if count != row["events"]:
                    outcome.add(
                        f"{row['partition']} was archived with {row['events']} events, but {name} there are {count}",
                        archive_id=row["archive_id"],
                    )
            if not row["is_sum_right"]:
                outcome.add(
                    f"the checksum of {row['partition']} is not that of its files", archive_id=row["archive_id"]
                )
        reader = look.subject.archived
        if ids is not None and reader is not None and reader.is_set_up:
            async for name, expected, found in reader.measured(connection):
                outcome.looked_at += 1
                if found != expected:
                    outcome.add(f"the file {name} does not hold what was written", name=name, events=expected.events)


ARCHIVED_EVENTS_WHOLE = Check(
    "archived_events_whole",
    "Archived events are whole: files, players and ids are as many as left, and none of them is in the table as well.",
    _look,
)

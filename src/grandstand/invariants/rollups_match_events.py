"""Rollups say what the stored events say: counted once each, whoever came late, and every user seen."""

from grandstand.invariants.check import EXAMPLES_MAX, Check, Look
from grandstand.invariants.sampling import user_chunks

_DAYS_SHARE = 20
"""A sample looks at a twentieth as many days as users."""


async def _look(look: Look) -> None:
    outcome, sample = look.outcome, look.scope.sample
    async with look.snapshot() as connection:
        sums = (await look.rows(connection, "unequal_sums"))[0]
        if sums["by_hour"] != sums["by_month"]:
            outcome.add(f"{sums['by_hour']} events are counted by hour, and {sums['by_month']} by month of arrival")
        days = None
        if sample is None:
            hours = await look.rows(connection, "miscounted_hours", EXAMPLES_MAX, sums["has_left"])
            outcome.add_rows(
                hours,
                lambda row: f"{row['counted']} events are counted, {row['stored']} are stored",
                "start",
                "event_type",
            )
        else:
            drawn = await look.rows(
                connection, "sample_rollup_days", str(look.scope.seed), max(1, sample // _DAYS_SHARE)
            )
            days = [row["day"] for row in drawn]
        totals = await look.rows(connection, "miscounted_totals", EXAMPLES_MAX, days)
        outcome.add_rows(
            totals,
            lambda row: (
                f"the {row['grain']} has {row['counted']} users, {row['seen']} were seen, or its events are off"
            ),
            "start",
            "event_type",
        )
        kept_days = await look.rows(connection, "miscounted_kept_days", EXAMPLES_MAX, days)
        outcome.add_rows(
            kept_days,
            lambda row: f"the day keeps {row['kept']} users, {row['seen']} were seen",
            "day", "kind", "number",
        )  # fmt: skip
        async for user_ids in user_chunks(look, connection, "scores"):
            outcome.looked_at += len(user_ids)
            unseen = await look.rows(connection, "unseen_users", user_ids, EXAMPLES_MAX, sums["has_left"])
            outcome.add_rows(unseen, lambda row: f"the user {row['what']}", "user_id", "day", "event_type")


ROLLUPS_MATCH_EVENTS = Check(
    "rollups_match_events",
    "Rollups count every stored event once in its hour and day, and every user who was seen in them; kept days are "
    "what their users make.",
    _look,
)

"""Standings are the ranks that an occurrence was settled with, and never change."""

from grandstand.domain.ranking import direction
from grandstand.invariants.check import EXAMPLES_MAX, Check, Look
from grandstand.invariants.settled_occurrences import settled_occurrences


async def _look(look: Look) -> None:
    outcome = look.outcome
    async with look.snapshot() as connection:
        early = await look.rows(connection, "early_standings", EXAMPLES_MAX)
        outcome.add_rows(
            early,
            lambda row: f"{row['tournament_id']}/{row['occurrence']} has standings and is {row['status']}",
            "tournament_id",
            "occurrence",
        )
        for each in await settled_occurrences(look, connection):
            key = (each.tournament_id, each.occurrence)
            outcome.looked_at += (await look.rows(connection, "count_standings", *key))[0][0]
            if each.settled_at is None:
                outcome.add("the occurrence is settled and has no time of it", tournament_id=key[0], occurrence=key[1])
            shape = await look.rows(connection, "standings_shape", *key, direction(each.definition.order), EXAMPLES_MAX)
            for row in shape:
                outcome.add(
                    f"{row['user_id']} {row['problem']}",
                    tournament_id=key[0],
                    occurrence=key[1],
                    user_id=row["user_id"],
                )
            differing = await look.rows(
                connection, "standings_differences", *key, each.leaderboard_id, each.starts_at, EXAMPLES_MAX
            )
            for row in differing:
                outcome.add(
                    f"{row['user_id']} stands with {row['stood']}, but ended with {row['scored']}",
                    tournament_id=key[0],
                    occurrence=key[1],
                    user_id=row["user_id"],
                )


STANDINGS_FROZEN = Check(
    "standings_frozen",
    "Standings of a settled occurrence are the ranks it ended with, from 1 without gaps; no other has standings.",
    _look,
)

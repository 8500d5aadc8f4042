"""Archived periods have the ranks that they ended with."""

from typing import Any

from grandstand.invariants.check import Check, Look
from grandstand.invariants.sampling import chosen

_SAMPLED_SHARE = 20


async def _look(look: Look) -> None:
    async with look.snapshot() as connection:
        rankings = chosen(look, await look.rows(connection, "archived_rankings", str(look.scope.seed)), _SAMPLED_SHARE)
        for ranking in rankings:
            shape = (await look.rows(connection, "archive_shape", ranking["ranking_id"]))[0]
            look.outcome.looked_at += shape["entries"]
            for message in _problems(ranking, shape):
                look.outcome.add(
                    message,
                    ranking_id=ranking["ranking_id"],
                    leaderboard=ranking["key"],
                    period_started_at=ranking["started_at"],
                    part=ranking["part"] or None,
                )


def _problems(ranking: Any, shape: Any) -> list[str]:
    problems = []
    if shape["entries"] != ranking["total"]:
        problems.append(f"the archive has {shape['entries']} entries instead of {ranking['total']}")
    elif shape["first_rank"] != 1 or shape["last_rank"] != shape["entries"]:
        problems.append(f"the ranks of the archive go from {shape['first_rank']} to {shape['last_rank']}, with gaps")
    # An archive keeps the order of the rule that made it. Of a rule that is replaced it is not known which way it went.
    wrong = shape["rising"] if ranking["direction"] < 0 else shape["falling"]
    if not ranking["is_in_force"]:
        wrong = min(shape["rising"], shape["falling"])
    if wrong or shape["wrong_ties"]:
        problems.append(f"{wrong + shape['wrong_ties']} entries of the archive stand in front of a better one")
    return problems


ARCHIVES_MATCH = Check(
    "archives_match",
    "An archived period has as many entries as it ended with, with ranks from 1 without gaps and in the board's order.",
    _look,
)

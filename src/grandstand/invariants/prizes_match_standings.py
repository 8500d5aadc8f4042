"""Prizes are what the rules give to the standings, each once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from grandstand.invariants.check import EXAMPLES_MAX, Check, Look
from grandstand.invariants.settled_occurrences import settled_occurrences
from grandstand.invariants.stored_boards import Occurrence, read_occurrences

_Given = tuple[str, int, int, str, int, Any]
"""user, rule, rank, kind, amount, metadata"""


async def _look(look: Look) -> None:
    outcome = look.outcome
    async with look.snapshot() as connection:
        runs = Counter(each.tournament_id for each in await read_occurrences(look, connection))
        settled = await settled_occurrences(look, connection)
        for each in settled:
            key = (each.tournament_id, each.occurrence)
            standings = {
                row["rank"]: row["user_id"] for row in await look.rows(connection, "standings_of_occurrence", *key)
            }
            prizes = await look.rows(connection, "prizes_of_occurrence", *key)
            outcome.looked_at += len(prizes)
            # A tournament that repeats may have other rules by now than when it was settled.
            is_known = runs[each.tournament_id] == 1 or not each.is_changed
            problems = _compare(each, standings, prizes) if is_known else _follow(standings, prizes)
            for message, user_id in problems:
                outcome.add(message, tournament_id=key[0], occurrence=key[1], user_id=user_id)
        keys: list[tuple[str | None, int | None]] = [(None, None)]
        if look.scope.sample is not None:
            keys = [(each.tournament_id, each.occurrence) for each in settled]
        for found in keys:
            rows = await look.rows(connection, "wrong_prizes", *found, EXAMPLES_MAX)
            outcome.add_rows(rows, lambda row: f"the prize {row['prize_id']} {row['problem']}", "prize_id")


def _compare(each: Occurrence, standings: dict[int, str], prizes: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield what differs from the rules applied to the standings."""
    due: Counter[tuple[str, int]] = Counter()
    wanted: dict[tuple[str, int], _Given] = {}
    for number, rule in enumerate(each.definition.prizes):
        first, last = rule.ranks(len(standings))
        for rank in range(first, last + 1):
            user_id = standings.get(rank)
            if user_id is not None:
                due[user_id, number] += 1
                wanted[user_id, number] = (user_id, number, rank, rule.kind, rule.amount, rule.metadata)
    given = Counter((row["user_id"], row["rule"]) for row in prizes)
    for user_id, number in sorted((due - given).elements()):
        yield f"{user_id} has not got the prize of rule {number}", user_id
    for user_id, number in sorted((given - due).elements()):
        yield f"{user_id} has a prize of rule {number} too many", user_id
    for row in prizes:
        expected = wanted.get((row["user_id"], row["rule"]))
        if expected is not None and _given(row) != expected:
            yield f"{row['user_id']} has another prize than rule {row['rule']} gives", row["user_id"]


def _follow(standings: dict[int, str], prizes: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield what no rules could have given: ranks that are another's, a rule that gives twice or unequally."""
    for (user_id, number), count in Counter((row["user_id"], row["rule"]) for row in prizes).items():
        if count > 1:
            yield f"{user_id} has a prize of rule {number} too many", user_id
    rules: dict[int, Any] = {}
    ranks: dict[int, list[int]] = {}
    for row in prizes:
        _, number, rank, *what = _given(row)
        if standings.get(rank) != row["user_id"]:
            yield f"{row['user_id']} has a prize for rank {rank}, which is another's", row["user_id"]
        if rules.setdefault(number, what) != what:
            yield f"{row['user_id']} has another prize than others have of rule {number}", row["user_id"]
        if ranks.setdefault(number, [rank - 1])[-1] + 1 != rank:
            yield f"the rank before that of {row['user_id']} has no prize of rule {number}", row["user_id"]
        ranks[number].append(rank)


def _given(row: Any) -> _Given:
    metadata = msgspec.json.decode(row["metadata"])
    return row["user_id"], row["rule"], row["rank"], row["kind"], row["amount"], metadata


PRIZES_MATCH_STANDINGS = Check(
    "prizes_match_standings",
    "Prizes of a settled occurrence are what its rules give to its standings, once each, with steps that tell of each.",
    _look,
)

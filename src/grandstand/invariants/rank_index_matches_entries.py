"""The rank index holds what the entries hold, and gives the ranks that PostgreSQL computes from them."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.ranking import TIME_BYTES, Position, member
from grandstand.invariants.check import Check, Look
from grandstand.invariants.sampling import chosen
from grandstand.storage.entries import Entry, EntryStore
from grandstand.storage.index_reads import Indexed, IndexIncompleteError
from grandstand.storage.leaderboards import LeaderboardStore

_STRETCH_ENTRIES = 200
_SAMPLED_SHARE = 20
"""A sample of n looks at a stretch of each of n / 20 rankings."""

_RANKED_ENTRIES_MAX = 5_000
"""Largest ranking of which a sample computes the ranks."""


class _State(NamedTuple):
    """What both sides hold of one user. Versions and ranks only compare when they were read at rest."""

    entry: Entry | None
    version: int | None
    position: Position | None
    metadata: str | None

    def agrees(self, direction: int) -> bool:
        """Whether the index has exactly the entry."""
        if self.entry is None or self.position is None:
            return self.entry is None and self.position is None and self.version is None
        place = Position(
            self.entry.score * direction, member(self.entry.tie_key, self.entry.achieved_at, self.entry.user_id)
        )
        return (self.entry.version, place, self.entry.metadata) == (self.version, self.position, self.metadata)


async def _look(look: Look) -> None:
    suspects: list[tuple[Indexed, dict[str, _State], tuple[int, int] | None]] = []
    incomplete: list[Indexed] = []
    for ranking in chosen(look, await _rankings(look), _SAMPLED_SHARE):
        try:
            differing, at_rest = await _compare(look, ranking)
        except IndexIncompleteError:
            incomplete.append(ranking)
            continue
        if differing or at_rest is not None:
            suspects.append((ranking, differing, at_rest))
    if suspects or incomplete:
        # The index is written after the commit, and an index that was lost is rebuilt.
        await asyncio.sleep(look.scope.second_look_seconds)
    for ranking, differing, at_rest in suspects:
        try:
            await _second_look(look, ranking, differing)
            if at_rest is not None and not differing:
                await _second_look_at_ranks(look, ranking, at_rest)
        except IndexIncompleteError:
            incomplete.append(ranking)
    await _still_incomplete(look, incomplete)


async def _rankings(look: Look) -> list[Indexed]:
    async with look.snapshot() as connection:
        boards: dict[tuple[int, int], Leaderboard] = {}
        for board in (await LeaderboardStore().changed_since(connection, 0)).kept:
            boards[board.leaderboard_id, board.epoch] = board
            if board.pending is not None:
                boards[board.leaderboard_id, board.pending.epoch] = board.pending
        rows = await look.rows(connection, "indexed_rankings", str(look.scope.seed))
    return [
        Indexed(row["ranking_id"], held.direction, held.tie_bytes, bool(held.definition.keep))
        for row in rows
        if (held := boards.get((row["leaderboard_id"], row["epoch"]))) is not None
    ]


async def _compare(look: Look, ranking: Indexed) -> tuple[dict[str, _State], tuple[int, int] | None]:
    """Return the users that differ; and the ranking's state when only ranks do, while nothing is written."""
    differing: dict[str, _State] = {}
    start = await _start(look, ranking)
    users: list[str] = []
    async for stretch in _stretches(look, ranking, start):
        states = await _states(look, ranking, stretch)
        look.outcome.looked_at += len(states)
        differing.update({user_id: each for user_id, each in states.items() if not each.agrees(ranking.direction)})
        users = stretch
    at_rest = await _wrong_ranks(look, ranking, users) if users and not differing else None
    return differing, at_rest


async def _start(look: Look, ranking: Indexed) -> int:
    """Return the rank at which a sample's stretch of the index begins."""
    total = (await look.subject.index.from_rank(ranking, 1, 0)).total
    if look.scope.sample is None or total <= _STRETCH_ENTRIES:
        return 1
    return random.Random(look.scope.seed).randint(1, total - _STRETCH_ENTRIES + 1)  # noqa: S311 - no secret


async def _stretches(look: Look, ranking: Indexed, start: int) -> AsyncIterator[list[str]]:
    """Yield users of the index from a rank on, then users with entries: from the first of those on, or all."""
    rank = start
    first = ""
    while True:
        window = await look.subject.index.from_rank(ranking, rank, _STRETCH_ENTRIES)
        users = [_user_of(entry.position.member, ranking) for entry in window.entries]
        if users:
            yield users
        first = first or (users[0] if users else "")
        rank += len(users)
        if look.scope.sample is not None or not users:
            break
    after = "" if look.scope.sample is None or rank == start or start == 1 else first
    while True:
        async with look.snapshot() as connection:
            chunk = await EntryStore().chunk(connection, ranking.ranking_id, after, _STRETCH_ENTRIES)
        if chunk:
            yield [entry.user_id for entry in chunk]
        if look.scope.sample is not None or len(chunk) < _STRETCH_ENTRIES:
            break
        after = chunk[-1].user_id


def _user_of(member: bytes, ranking: Indexed) -> str:
    return member[ranking.tie_bytes + TIME_BYTES :].decode()


async def _states(look: Look, ranking: Indexed, user_ids: Sequence[str]) -> dict[str, _State]:
    index = look.subject.index
    async with look.snapshot() as connection:
        pairs = [(ranking.ranking_id, user_id) for user_id in user_ids]
        entries = {entry.user_id: entry for entry in await EntryStore().find(connection, pairs)}
    before = await index.versions(ranking.ranking_id, user_ids)
    window = await index.lookup(ranking, user_ids)
    after = await index.versions(ranking.ranking_id, user_ids)
    held = {_user_of(entry.position.member, ranking): entry for entry in window.entries}
    return {
        user_id: _State(
            entries.get(user_id),
            after.get(user_id) if before.get(user_id) == after.get(user_id) else -1,
            held[user_id].position if user_id in held else None,
            held[user_id].metadata if user_id in held else None,
        )
        for user_id in dict.fromkeys(user_ids)
    }


async def _second_look(look: Look, ranking: Indexed, differing: dict[str, _State]) -> None:
    """Report those who differ still, though what the first look saw of the entry should long be in the index."""
    if not differing:
        return
    for user_id, now in (await _states(look, ranking, list(differing))).items():
        first = differing[user_id]
        if now.agrees(ranking.direction):
            continue
        seen, current = (None if each is None else each.version for each in (first.entry, now.entry))
        # Who scores or goes all the time is a moment ahead of the index, but not behind what was there before.
        is_behind = seen is not None and current is not None and (now.version is None or 0 <= now.version < seen)
        if seen == current or is_behind:
            look.outcome.add(_difference(now, ranking), ranking_id=ranking.ranking_id, user_id=user_id, version=current)


def _difference(state: _State, ranking: Indexed) -> str:
    if state.entry is None:
        return "the rank index has a player without an entry"
    if state.position is None:
        return "the rank index lacks an entry"
    score = state.position.position_score * ranking.direction
    if score != state.entry.score:
        return f"the rank index has the score {score} instead of {state.entry.score}"
    return "the rank index has the entry in another place, with other metadata or in another version"


async def _wrong_ranks(look: Look, ranking: Indexed, user_ids: Sequence[str]) -> tuple[int, int] | None:
    """Return the state of a ranking that does not change and whose index gives other ranks than its entries."""
    async with look.snapshot() as connection:
        before = tuple((await look.rows(connection, "ranking_state", ranking.ranking_id))[0])
        if not before[0] or (look.scope.sample is not None and before[0] > _RANKED_ENTRIES_MAX):
            return None
        rows = await look.rows(connection, "ranks_of_users", ranking.ranking_id, ranking.direction, list(user_ids))
    computed = {row["user_id"]: row["rank"] for row in rows}
    window = await look.subject.index.lookup(ranking, user_ids)
    served = {_user_of(entry.position.member, ranking): entry.rank for entry in window.entries}
    async with look.snapshot() as connection:
        after = tuple((await look.rows(connection, "ranking_state", ranking.ranking_id))[0])
    is_right = served == computed and window.total == before[0]
    return None if is_right or before != after else (before[0], before[1])


async def _second_look_at_ranks(look: Look, ranking: Indexed, at_rest: tuple[int, int]) -> None:
    users: list[str] = []
    async for stretch in _stretches(look, ranking, await _start(look, ranking)):
        users = stretch
    if users and await _wrong_ranks(look, ranking, users) == at_rest:
        look.outcome.add("the rank index gives other ranks than the entries", ranking_id=ranking.ranking_id)


async def _still_incomplete(look: Look, rankings: Sequence[Indexed]) -> None:
    if not rankings:
        return
    rebuilding = await look.subject.index.rebuilds()
    for ranking in await look.subject.index.find_incomplete(rankings):
        if ranking.ranking_id not in rebuilding:
            look.outcome.add("the rank index is not complete and nobody rebuilds it", ranking_id=ranking.ranking_id)


RANK_INDEX_MATCHES_ENTRIES = Check(
    "rank_index_matches_entries",
    "The rank index holds every entry of its ranking, nothing else, and gives the ranks that follow from the entries.",
    _look,
)

"""Brings tallies into the entries: rankings are found or made, players placed in buckets, values combined."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from grandstand import clock
from grandstand.domain.folding import Tally
from grandstand.domain.leaderboards import TOURNAMENT_PREFIX
from grandstand.domain.rankings import WHOLE, Ranking, RankingName, RankingPart, bucket_part
from grandstand.operations.admit_attempts import Admission, AttemptKeeper
from grandstand.operations.resolve_rankings import RankingResolver
from grandstand.operations.score_events import LATE, Attempt, Candidates, RankingTally, Scored
from grandstand.storage.bans import BanStore
from grandstand.storage.buckets import BucketStore
from grandstand.storage.entries import Entry, EntryStore
from grandstand.storage.postgres import Connection


@dataclass(slots=True)
class Folded:
    """What a transaction leaves to publish after its commit: entries, and the order of their rankings.

    `has_new_rankings` says that rankings were made; whoever made those of `repeated` may have died before it said so.
    """

    entries: list[Entry] = field(default_factory=list)
    directions: dict[int, int] = field(default_factory=dict)
    has_new_rankings: bool = False
    repeated: set[int] = field(default_factory=set)

    def add(self, other: "Folded") -> None:
        """Take in what another fold of the same transaction leaves to publish."""
        self.entries += other.entries
        self.directions.update(other.directions)
        self.has_new_rankings |= other.has_new_rankings
        self.repeated |= other.repeated


class ScoreFolder:
    """Folds for one process. Between `begin` and `commit` lies one transaction that shares or holds the ledger."""

    def __init__(
        self,
        resolver: RankingResolver,
        bans: BanStore,
        attempts: AttemptKeeper,
        buckets: BucketStore,
        entries: EntryStore,
    ) -> None:
        self._resolver = resolver
        self._bans = bans
        self._attempts = attempts
        self._buckets = buckets
        self._entries = entries

    def begin(self, revision: int) -> None:
        """Begin a transaction that sees definitions and periods of `revision`."""
        self._resolver.begin(revision)

    def commit(self) -> None:
        """Say that the transaction is committed."""
        self._resolver.commit()

    async def removals_since(self, connection: "Connection[Any]", moment: datetime) -> dict[tuple[int, str], datetime]:
        """Return when (board, user) pairs were removed: what arrived before does not count."""
        return await self._entries.removals_since(connection, moment)

    async def fold(self, connection: "Connection[Any]", scored: Scored) -> Folded:
        """Combine tallies with the entries; return what changed. Values with no place are added to `scored.unranked`.

        The tallies of buckets follow those of the whole boards, which place the players.
        """
        folded = Folded()
        await self._refuse_banned(connection, scored)
        await self._admit(connection, scored)
        tallies = scored.tallies
        while tallies:
            found = await self._resolver.resolve(connection, _ends(tallies))
            live: dict[int, Tally] = {}
            buckets: dict[RankingName, RankingTally] = {}
            for name in sorted(tallies):
                target, ranking = tallies[name], found.get(name)
                if ranking is None or ranking.state != "live":
                    reason = LATE if ranking is not None else "too_many_segments"
                    scored.unranked[target.board.key, reason] += len(target.tally.values)
                    continue
                live[ranking.ranking_id] = target.tally
                folded.directions[ranking.ranking_id] = target.board.direction
                size = target.board.definition.bucket_size
                if size is not None and name.part == WHOLE:
                    users = sorted(target.tally.values)
                    placed = await self._buckets.place(connection, ranking.ranking_id, users, size)
                    buckets.update(_bucket_tallies(ranking, target, placed))
            folded.entries += await self._entries.fold(connection, live)
            tallies = buckets
        folded.has_new_rankings = self._resolver.has_made
        return folded

    async def _refuse_banned(self, connection: "Connection[Any]", scored: Scored) -> None:
        """Take the scores of banned players out of the tallies and attempts."""
        users = {user_id for target in scored.tallies.values() for user_id in target.tally.values}
        users.update(attempt.user_id for each in scored.candidates.values() for attempt in each.attempts)
        banned = await self._bans.find(connection, sorted(users)) if users else set()
        if not banned:
            return
        for target in scored.tallies.values():
            for user_id in banned & target.tally.values.keys():
                del target.tally.values[user_id]
                scored.unranked[target.board.key, "player_banned"] += 1
        for each in scored.candidates.values():
            kept = [attempt for attempt in each.attempts if attempt.user_id not in banned]
            scored.unranked[each.target.board.key, "player_banned"] += len(each.attempts) - len(kept)
            each.attempts[:] = kept

    async def _admit(self, connection: "Connection[Any]", scored: Scored) -> None:
        """Bring those attempts of tournaments that count into the tallies."""
        for name in sorted(scored.candidates):
            candidates = scored.candidates[name]
            board, tournament = candidates.target.board, candidates.target.tournament
            occurrence = None if board.windows is None else board.windows.occurrence(name.started_at)
            if tournament is None or occurrence is None:
                continue
            ranking = (await self._resolver.find(connection, {name: candidates.ended_at})).get(name)
            if ranking is not None and ranking.state != "live":
                # Settled: nobody enters any more, and no attempt is used up.
                scored.unranked[board.key, LATE] += len(candidates.attempts)
                continue
            admission = Admission(board.key.removeprefix(TOURNAMENT_PREFIX), occurrence, tournament.of(occurrence))
            admitted, refused = await self._attempts.admit(connection, admission, candidates.attempts, clock.now())
            for reason, count in refused.items():
                scored.unranked[board.key, reason] += count
            _count(scored, name, candidates, admitted)

    async def find(self, connection: "Connection[Any]", scored: Scored) -> Folded:
        """Return the entries that the tallies speak of, as they are, to be published once more."""
        folded = Folded()
        for name, candidates in scored.candidates.items():
            _count(scored, name, candidates, candidates.attempts)
        boards = {(name.leaderboard_id, name.epoch): target.board for name, target in scored.tallies.items()}
        wanted: dict[RankingPart, set[str]] = defaultdict(set)
        for name, target in scored.tallies.items():
            wanted[name.leaderboard_id, name.epoch, name.part].update(target.tally.values)
        while wanted:
            pairs: list[tuple[int, str]] = []
            buckets: dict[RankingPart, set[str]] = defaultdict(set)
            # Of every period that is not archived: a reset may have cut the one that an event was counted in since.
            for ranking in await self._resolver.find_of_parts(connection, sorted(wanted)):
                leaderboard_id, epoch, _, part = ranking.name
                board, users = boards[leaderboard_id, epoch], sorted(wanted[leaderboard_id, epoch, part])
                folded.directions[ranking.ranking_id] = board.direction
                pairs += [(ranking.ranking_id, user_id) for user_id in users]
                if board.definition.bucket_size is not None and part == WHOLE:
                    placed = await self._buckets.find(connection, ranking.ranking_id, users)
                    for user_id, bucket in placed.items():
                        buckets[leaderboard_id, epoch, bucket_part(bucket)].add(user_id)
            if pairs:
                folded.entries += await self._entries.find(connection, pairs)
            wanted = buckets
        folded.repeated = set(folded.directions)
        return folded


def _count(scored: Scored, name: RankingName, candidates: Candidates, attempts: Sequence[Attempt]) -> None:
    if attempts:
        target = scored.tallies[name] = RankingTally(candidates.target.board, candidates.ended_at)
        for user_id, value in attempts:
            target.tally.add(user_id, value)


def _ends(tallies: dict[RankingName, RankingTally]) -> dict[RankingName, datetime | None]:
    return {name: target.ended_at for name, target in tallies.items()}


def _bucket_tallies(ranking: Ranking, target: RankingTally, placed: dict[str, int]) -> dict[RankingName, RankingTally]:
    """Return the tallies of the buckets that the players of a whole board's tally are in."""
    result: dict[RankingName, RankingTally] = {}
    for user_id, bucket in placed.items():
        name = ranking.name._replace(part=bucket_part(bucket))
        if name not in result:
            result[name] = RankingTally(target.board, target.ended_at)
        result[name].tally.add(user_id, target.tally.values[user_id])
    return result

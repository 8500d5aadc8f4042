"""Decides which scoring events of a tournament count: those of participants, within the limit of attempts.

An attempt is a scoring event. Within a batch they count in the order of `occurred_at`, then id; across batches in the
order in which the batches are stored. What is over the limit stays stored and is not scored.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from grandstand.domain.tournaments import TournamentDefinition
from grandstand.operations.score_events import Attempt
from grandstand.storage.postgres import Connection
from grandstand.storage.tournaments import TournamentStore


class Admission(NamedTuple):
    """Which occurrence attempts ask to count in, and its rules."""

    tournament_id: str
    occurrence: int
    definition: TournamentDefinition


class AttemptKeeper:
    """Admits attempts inside the transaction of a batch."""

    def __init__(self, tournaments: TournamentStore) -> None:
        self._tournaments = tournaments

    async def admit(
        self, connection: "Connection[Any]", admission: Admission, attempts: Sequence[Attempt], now: datetime
    ) -> tuple[list[Attempt], Counter[str]]:
        """Return the attempts that count, and why the others do not: reason → how many.

        Rows are locked in one order everywhere (occurrence, then users), so batches side by side cannot deadlock.
        """
        refused: Counter[str] = Counter()
        by_user: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in attempts:
            by_user[attempt.user_id].append(attempt)
        counted = await self._participants(connection, admission, sorted(by_user), now)
        limit = admission.definition.max_attempts
        admitted: list[Attempt] = []
        taken: dict[str, int] = {}
        for user_id, theirs in by_user.items():
            if user_id not in counted:
                reason = "not_joined" if admission.definition.join == "required" else "tournament_full"
                refused[reason] += len(theirs)
                continue
            theirs.sort(key=lambda attempt: (attempt.value.achieved_at, attempt.value.event_id))
            room = len(theirs) if limit is None else max(0, limit - counted[user_id])
            admitted += theirs[:room]
            if theirs[:room]:
                taken[user_id] = len(theirs[:room])
            if theirs[room:]:
                refused["attempts_exhausted"] += len(theirs[room:])
        if taken:
            await self._tournaments.add_attempts(connection, admission.tournament_id, admission.occurrence, taken)
        return admitted, refused

    async def _participants(
        self, connection: "Connection[Any]", admission: Admission, user_ids: list[str], now: datetime
    ) -> dict[str, int]:
        """Return the attempts of those who take part; where joining is open, scoring is joining."""
        tournament_id, occurrence, definition = admission
        if definition.join == "open":
            await self._join(connection, admission, user_ids, now)
        return await self._tournaments.lock_participants(connection, tournament_id, occurrence, user_ids)

    async def _join(
        self, connection: "Connection[Any]", admission: Admission, user_ids: list[str], now: datetime
    ) -> None:
        tournament_id, occurrence, definition = admission
        known = await self._tournaments.known_participants(connection, tournament_id, occurrence, user_ids)
        if len(known) == len(user_ids):
            return
        # The occurrence is locked before any participant: who brings players in takes turns.
        _, players = await self._tournaments.lock(connection, tournament_id, occurrence)
        new = [user_id for user_id in user_ids if user_id not in known]
        if definition.max_players is not None:
            # Who came in while this batch waited needs no place any more; without a limit nobody does.
            known = await self._tournaments.known_participants(connection, tournament_id, occurrence, new)
            new = [user_id for user_id in new if user_id not in known][: max(0, definition.max_players - players)]
        await self._tournaments.add_participants(connection, tournament_id, occurrence, new, now)

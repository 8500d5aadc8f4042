"""What is sent: batches of events of players by activity, and the reads that a game's end screen makes.

Event types carry the run's name, so that what a run sent can be told from everything else that a server holds.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from grandstand.domain.ids import new_ids
from grandstand.lab.http_connection import request_of
from grandstand.lab.load_model import READS_A_GAME, LoadModel, activity_steps

SCORE_STEP_MAX = 1_000
_IDS_AT_ONCE = 1_000
_encode = msgspec.json.Encoder().encode


class SentEvent(msgspec.Struct, gc=False):
    """One event as a client sends it."""

    id: UUID
    event_type: str
    user_id: str
    occurred_at: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """One request of a player's client, with so many games in it; `score` is that of the best, None without one."""

    user_id: str
    event_ids: list[int]
    request: bytes
    games: int
    score: int | None


@dataclass(frozen=True, slots=True)
class Read:
    """One question. `least` is what the player's score must be at least by now; -1 when nothing is known."""

    kind: str
    user_id: str
    request: bytes
    least: int = -1


@dataclass
class Traffic:
    """The requests of one run. Everything that is chosen comes from the seed."""

    model: LoadModel
    name: str
    key: str
    seed: int
    best: dict[str, int] = field(default_factory=dict)
    """The best score that was sent of each player."""

    def __post_init__(self) -> None:
        self.game_type, self.other_type = f"{self.name}.game", f"{self.name}.other"
        self.board, self.tournament = f"{self.name}-board", f"{self.name}-cup"
        self._random = random.Random(self.seed)  # noqa: S311 - chosen for being the same again
        self._players = max(10, self.model.daily_players)
        self._steps = activity_steps(self._players)
        self._ids: Iterator[UUID] = iter(())
        self._draws: Iterator[int] = iter(())

    def batch(self) -> Batch:
        """Return the next request with events."""
        user_id = f"p{self._player()}"
        count = self.model.batch_events(self._random.random())
        occurred_at = datetime.now(UTC).isoformat()
        events: list[SentEvent] = []
        best: int | None = None
        games = 0
        for _ in range(count):
            if self._random.random() < self.model.game_share:
                score = self._score(user_id)
                best = score if best is None else max(best, score)
                games += 1
                payload: dict[str, Any] = {"score": score, "mode": "ranked", "map": "harbour"}
                if self._random.random() < READS_A_GAME["tournament"]:
                    payload["tournament_id"] = self.tournament
                events.append(SentEvent(self._id(), self.game_type, user_id, occurred_at, payload))
            else:
                payload = {"item": "health_potion", "left": count, "platform": "android"}
                events.append(SentEvent(self._id(), self.other_type, user_id, occurred_at, payload))
        body = _encode(events[0] if count == 1 else {"events": events})
        return Batch(
            user_id,
            [event.id.int for event in events],
            request_of("POST", "/api/events", key=self.key, body=body),
            games,
            best,
        )

    def reads_after(self, user_id: str, games: int, least: int) -> Iterator[Read]:
        """Yield what a client asks after so many games."""
        paths = {
            "top": f"/api/leaderboards/{self.board}",
            "rank": f"/api/leaderboards/{self.board}/users/{user_id}",
            "nearby": f"/api/leaderboards/{self.board}/users/{user_id}/nearby",
            "tournament": f"/api/tournaments/{self.tournament}/leaderboard?limit=10",
            "prizes": f"/api/prizes?user_id={user_id}",
        }
        for _ in range(games):
            for kind, share in READS_A_GAME.items():
                if self._random.random() < share:
                    yield Read(kind, user_id, request_of("GET", paths[kind], key=self.key), least)

    def rank_read(self, user_id: str, least: int) -> Read:
        """Return the question for a player's own rank."""
        path = f"/api/leaderboards/{self.board}/users/{user_id}"
        return Read("rank", user_id, request_of("GET", path, key=self.key), least)

    def _score(self, user_id: str) -> int:
        # Every other game is the player's best: then there is something to see.
        best = self.best.get(user_id, 0)
        score = best + self._random.randint(1 - SCORE_STEP_MAX, SCORE_STEP_MAX)
        self.best[user_id] = max(best, score)
        return score

    def _player(self) -> int:
        player = next(self._draws, None)
        if player is None:
            drawn = self._random.choices(range(self._players), cum_weights=self._steps, k=_IDS_AT_ONCE)
            self._draws = iter(drawn)
            player = next(self._draws)
        return player

    def _id(self) -> UUID:
        found = next(self._ids, None)
        if found is None:
            self._ids = iter(new_ids(_IDS_AT_ONCE, datetime.now(UTC)))
            found = next(self._ids)
        return found

"""What is sent: batches of events of players by activity, and the reads of a game's end screen.

Event types carry the run's name, so that what a run sent can be told from everything else that a server holds. Bodies
are put together as text and not encoded from objects: what the generator costs is taken from a server beside it.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from grandstand.lab.http_connection import request_of
from grandstand.lab.load_model import (
    BATCH_EVENTS_MAX,
    READ_AFTER_LEAST_SECONDS,
    READ_AFTER_MOST_SECONDS,
    READS_A_GAME,
    RETRY_SHARE,
    LoadModel,
    busy_player,
)

SCORE_STEP_MAX = 1_000
ID_BITS = 60
"""Bits of an id that are random; by these the auditor knows it."""

PLACE_BITS = 16
"""Bits of these, the last ones, that follow from an event's place in its request; the others are the request's own."""

PLACE_CODES = tuple(random.Random(2).sample(range(1 << PLACE_BITS), BATCH_EVENTS_MAX))  # noqa: S311 - always the same
"""The last bits of ids by place. No two pairs have the same sum: two wrong events do not look like two right ones."""

OF_PLAYER = frozenset({"rank", "nearby"})
"""Reads whose answers are judged by what was served of the player before."""

_ID_MIDDLES = tuple(f"{place:03x}-8" for place in range(BATCH_EVENTS_MAX))
_ID_ENDS = tuple(f"{code:04x}" for code in PLACE_CODES)


@dataclass(frozen=True, slots=True)
class Names:
    """What a run's things are called."""

    run: str

    @property
    def game_type(self) -> str:
        """Type of the events that end a game."""
        return f"{self.run}.game"

    @property
    def other_type(self) -> str:
        """Type of all other events."""
        return f"{self.run}.other"

    @property
    def board(self) -> str:
        """Key of the board: the best score of a game."""
        return f"{self.run}-board"

    @property
    def tournament(self) -> str:
        """Id of the tournament: the sum of the scores of its games."""
        return f"{self.run}-cup"


class Batch(msgspec.Struct, frozen=True, gc=False):
    """One request of a player's client.

    `number` is what the ids of its events begin with. `score` is that of its best game, None without one; `is_best`
    says that it is higher than all that the player had before. `cup_score` is the sum of what counts in the tournament,
    of `cup_games` games. `occurred_at_us` is Unix time of all its events in microseconds.
    """

    user_id: str
    number: int
    events: int
    request: bytes
    games: int
    score: int | None
    cup_games: int = 0
    cup_score: int = 0
    occurred_at_us: int = 0
    is_retried: bool = False
    is_best: bool = False

    @property
    def event_ids(self) -> list[int]:
        """The random bits of its ids."""
        return [self.number << PLACE_BITS | code for code in PLACE_CODES[: self.events]]


class Read(msgspec.Struct, frozen=True, gc=False):
    """One question. `least` is what the player's score must be at least by now; None when it may be none."""

    kind: str
    user_id: str
    request: bytes
    least: int | None = None


class Traffic:
    """The requests of one generator process: of each so-many-th player. What is chosen comes from the seed."""

    def __init__(
        self, model: LoadModel, names: Names, key: str, host: str, seed: int, part: int = 0, parts: int = 1
    ) -> None:
        self._model = model
        self._game_share = model.game_share
        self._random = random.Random(f"{seed} {part} {parts}")  # noqa: S311 - chosen for being the same again
        self._part, self._parts = part, parts
        self._players = max(10, model.daily_players // parts)
        self._best: dict[str, int] = {}
        head = request_of("POST", "/api/events", key=key, body=b"", host=host).decode()
        self._head = head.removesuffix("0\r\n\r\n")
        rest = request_of("GET", "", key=key, host=host).decode().partition("GET ")[2]
        board, cup = f"/api/leaderboards/{names.board}", f"/api/tournaments/{names.tournament}/leaderboard?limit=10"
        self._same = {"top": f"GET {board}{rest}".encode(), "tournament": f"GET {cup}{rest}".encode()}
        self._of_player = {
            "rank": (f"GET {board}/users/", rest),
            "nearby": (f"GET {board}/users/", f"/nearby{rest}"),
            "prizes": ("GET /api/prizes?user_id=", rest),
        }
        self._game = f'","event_type":"{names.game_type}","user_id":"'
        self._other = f'","event_type":"{names.other_type}","user_id":"'
        self._in_cup = f',"tournament_id":"{names.tournament}"'
        self._second = 0
        self._moment = ""

    def batch(self) -> Batch:
        """Return the next request with events."""
        draw, game_share = self._random.random, self._game_share
        user_id = f"p{busy_player(draw(), self._players) * self._parts + self._part}"
        count = self._model.batch_events(draw())
        now_us = time.time_ns() // 1_000
        second, fraction_us = divmod(now_us, 1_000_000)
        if second != self._second:
            self._second, self._moment = second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
        number = self._random.getrandbits(ID_BITS - PLACE_BITS)
        digits, stamp = f"{number:011x}", f"{now_us // 1_000:012x}"
        begin, middle = f'{{"id":"{stamp[:8]}-{stamp[8:]}-7', f"{digits[:3]}-{digits[3:]}"
        of_player = f'{user_id}","occurred_at":"{self._moment}.{fraction_us:06d}Z","payload":'
        game = f'{self._game}{of_player}{{"score":'
        other = f'{self._other}{of_player}{{"item":"health_potion","left":{count},"platform":"android"}}}}'
        texts: list[str] = []
        best: int | None = None
        best_before = self._best.get(user_id, 0)
        games = cup_games = cup_score = 0
        for place in range(count):
            if draw() < game_share:
                score = self._score(user_id)
                if best is None or score > best:
                    best = score
                games += 1
                cup = ""
                if draw() < READS_A_GAME["tournament"]:
                    cup = self._in_cup
                    cup_games += 1
                    cup_score += score
                end = f'{game}{score},"mode":"ranked","map":"harbour"{cup}}}}}'
            else:
                end = other
            texts.append(f"{begin}{_ID_MIDDLES[place]}{middle}{_ID_ENDS[place]}{end}")
        body = texts[0] if count == 1 else f'{{"events":[{",".join(texts)}]}}'
        return Batch(
            user_id,
            number,
            count,
            # Everything in it is ASCII, so characters are bytes.
            f"{self._head}{len(body)}\r\n\r\n{body}".encode(),
            games,
            best,
            cup_games,
            cup_score,
            now_us,
            draw() < RETRY_SHARE,
            best is not None and best > best_before,
        )

    def reads_of(self, batch: Batch) -> Iterator[tuple[float, str]]:
        """Yield what the player looks at after the games of a batch: seconds later, and what."""
        draw = self._random.random
        for _ in range(batch.games):
            for kind, share in READS_A_GAME.items():
                if share == 1.0 or draw() < share:
                    yield self._random.uniform(READ_AFTER_LEAST_SECONDS, READ_AFTER_MOST_SECONDS), kind

    def read(self, kind: str, user_id: str, least: int | None = None) -> Read:
        """Return a question."""
        request = self._same.get(kind)
        if request is None:
            begin, end = self._of_player[kind]
            request = f"{begin}{user_id}{end}".encode()
        return Read(kind, user_id, request, least)

    def _score(self, user_id: str) -> int:
        # Every other game is the player's best: then there is something to see.
        best = self._best.get(user_id, 0)
        score = best + int(self._random.random() * 2 * SCORE_STEP_MAX) + 1 - SCORE_STEP_MAX
        if score > best:
            self._best[user_id] = score
        return score

"""The seeded workload: an endless course of requests, each with what its reply must be.

Players and batch sizes follow power laws. Among the valid events are invalid ones, whose rejection is expected, and
ids that were sent before, in the same request or an earlier one, which must count once.
"""

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from soak.boards import BOARDS, COUNTRIES, SEASON
from soak.client import Reply
from soak.happenings import DIRECT, Event, make_id
from soak.outlaws import Outlaws, Sentence

PLAYERS = 250
BATCH_MAX = 20
"""As many as a client of a player gathers; the server takes a hundred."""

REMEMBERED = 2_000
_READS_A_WRITE = 0.6
_SENTENCES_A_STEP = 0.03
_RESET_SHARE = 0.5
_OVERSIZED = 101


def by_activity() -> list[str]:
    """Return every player, the one who plays most first."""
    order = [f"player-{number:04d}" for number in range(PLAYERS)]
    random.Random(PLAYERS).shuffle(order)
    return order


OUTLAWS = tuple(by_activity()[2:22:4])
"""Those who are banned now and then."""


@dataclass
class Write:
    """A `POST /api/events`, or with `board` a direct write. A client that is not `persistent` never asks again."""

    events: list[Event]
    body: Any
    rejected: list[tuple[int, str]] = field(default_factory=list)
    persistent: bool = True
    board: str | None = None
    is_too_large: bool = False

    @property
    def count_valid(self) -> int:
        """How many events of the request must be accepted, repeated ones included."""
        return len(self.body) - len(self.rejected) if isinstance(self.body, list) else len(self.events)


@dataclass
class Read:
    """One read of a board, or of one of its segments."""

    kind: Literal["page", "user", "nearby", "lookup"]
    board: str
    segment: str = ""
    users: tuple[str, ...] = ()
    limit: int = 100
    from_rank: int = 1


@dataclass
class Reset:
    """A reset by hand of a board. It is asked for until it is answered, so it may be done more than once."""

    board: str
    answered: int = 0
    unheard: int = 0
    persistent: bool = True

    def fail(self) -> None:
        """Hear that there was no reply, or none that says what came of it."""
        self.unheard += 1

    def take(self, reply: Reply) -> bool:
        """Note a reply; False when a reset must never be answered so."""
        self.answered += 1
        return reply.status == 200 and bool(reply.body["key"] == self.board)


Request = Write | Read | Sentence | Reset


class Workload:
    """The requests of one run.

    `now` gives the client's time, `cup` the tournament to play in, when there is one; `sent` holds events of earlier
    runs, some of which are sent again, and takes those of this one. `outlaws` are banned and let in again; without them
    those players rest, and no board is reset. `batch_scale` is by how much batches are larger than usual.
    """

    def __init__(
        self,
        seed: str,
        now: Callable[[], datetime],
        cup: str | None = None,
        sent: deque[Event] | None = None,
        outlaws: Outlaws | None = None,
        batch_scale: int = 1,
    ) -> None:
        self._dice = random.Random(seed)
        self._now = now
        self._cup = cup
        self._outlaws = outlaws
        self._batch_scale = batch_scale
        for outlaw in outlaws.each.values() if outlaws is not None else ():
            # What the last run drew and did not send any more.
            outlaw.is_waiting = False
        self.resets: list[Reset] = []
        self._reset_after = self._dice.randrange(20, 200)
        self._sent: deque[Event] = deque(maxlen=REMEMBERED) if sent is None else sent
        self._by_activity = by_activity()
        self._weights = list(itertools.accumulate(1 / (place + 5) for place in range(PLAYERS)))

    def requests(self) -> Iterator[Request]:
        """Yield requests without end."""
        for number in itertools.count():
            draw = self._dice.random()
            if self._outlaws is not None and number == self._reset_after and self._dice.random() < _RESET_SHARE:
                self.resets.append(Reset(SEASON))
                yield self.resets[-1]
            if self._outlaws is not None and self._dice.random() < _SENTENCES_A_STEP:
                outlaw = self._outlaws.each[self._dice.choice(OUTLAWS)]
                if not outlaw.is_waiting:
                    outlaw.is_waiting = True
                    yield Sentence(outlaw, "unban" if outlaw.is_banned else "ban")
            if draw < 0.05:
                yield self._direct()
            elif draw < 0.06:
                yield self._oversized()
            else:
                yield self._batch()
            while self._dice.random() < _READS_A_WRITE / (1 + _READS_A_WRITE):
                yield self._read()

    def _batch(self) -> Write:
        size = min(BATCH_MAX, int(self._batch_scale * self._dice.paretovariate(0.9)))
        events: list[Event] = []
        body: list[Any] = []
        rejected: list[tuple[int, str]] = []
        for index in range(size):
            draw = self._dice.random()
            if draw < 0.06:
                code, broken = self._invalid()
                rejected.append((index, code))
                body.append(broken)
                continue
            if draw < 0.14 and self._sent:
                event = self._dice.choice(self._sent)
            elif draw < 0.16 and events:
                event = self._dice.choice(events)
            else:
                event = self.event()
                self._sent.append(event)
            events.append(event)
            body.append(event.as_json())
        return Write(events, body, rejected, persistent=self._dice.random() > 0.05)

    def event(self) -> Event:
        """Make a valid event of a player drawn by activity."""
        draw = self._dice.random()
        roll = self._dice.randrange
        if draw < 0.45:
            event_type = "game_ended"
            payload = {"score": roll(3_000), "mode": self._dice.choice(("ranked", "casual"))}
            if self._cup is not None and self._dice.random() < 0.5:
                payload["tournament_id"] = self._cup
        elif draw < 0.60:
            event_type, payload = "coins_found", {"coins": roll(-5, 50)}
        elif draw < 0.75:
            event_type, payload = "rating_changed", {"rating": roll(800, 1_200)}
        elif draw < 0.90:
            event_type, payload = "lap_done", {"seconds": roll(60, 120), "country": self._dice.choice(COUNTRIES)}
            if self._dice.random() < 0.7:
                payload["style"] = roll(4)
        else:
            event_type, payload = "level_up", {"level": roll(60)}
        return self._event_of(event_type, payload)

    def _event_of(self, event_type: str, payload: dict[str, Any]) -> Event:
        now = self._now()
        at = now - timedelta(milliseconds=self._dice.randrange(200))
        if "tournament_id" not in payload and self._dice.random() < 0.2:
            # Late reports; whole minutes, so that times are equal now and then.
            at = now.replace(second=0, microsecond=0) - timedelta(minutes=self._dice.randrange(1, 120))
        # Bans void prizes, and archives keep who was banned later: those players stay out of both.
        may_be_outlaw = self._outlaws is not None and "tournament_id" not in payload and event_type != "coins_found"
        return Event(make_id(self._dice, now), event_type, self._user(may_be_outlaw=may_be_outlaw), payload, at)

    def _invalid(self) -> tuple[str, Any]:
        good = self._event_of("game_ended", {"score": 99_999}).as_json()
        now = self._now()
        changes: list[tuple[str, dict[str, Any]]] = [
            ("invalid_event_type", {"event_type": "no spaces"}),
            ("invalid_event_type", {"event_type": DIRECT}),
            ("invalid_user_id", {"user_id": ""}),
            ("invalid_user_id", {"user_id": "tab\there"}),
            ("invalid_id", {"id": "seven"}),
            ("invalid_payload", {"payload": [1]}),
            ("score_out_of_range", {"payload": {"score": 2**53}}),
            ("occurred_at_in_future", {"occurred_at": (now + timedelta(days=1)).isoformat()}),
            ("occurred_at_too_old", {"occurred_at": (now - timedelta(days=60)).isoformat()}),
            ("payload_too_large", {"payload": {"text": "x" * 17_000}}),
        ]
        code, change = self._dice.choice(changes)
        return code, good | change

    def _direct(self) -> Write:
        payload = {"leaderboard": "soak-direct", "score": self._dice.randrange(-50, 100)}
        event = Event(make_id(self._dice, self._now()), DIRECT, self._user(), payload, None)
        body = {"user_id": event.user_id, "score": payload["score"], "id": event.event_id}
        return Write([event], body, board="soak-direct")

    def _oversized(self) -> Write:
        body = [self._event_of("game_ended", {"score": 99_999}).as_json() for _ in range(_OVERSIZED)]
        return Write([], body, is_too_large=True)

    def _read(self) -> Read:
        board = self._dice.choice(BOARDS)
        segment = self._dice.choice(COUNTRIES) if board.segment_by and self._dice.random() < 0.5 else ""
        kind = self._dice.choices(("page", "user", "nearby", "lookup"), (5, 3, 1, 1))[0]
        if kind == "page":
            from_rank = self._dice.choice((1, 1, 1, 11, 101))
            return Read("page", board.key, segment, limit=self._dice.choice((10, 50, 100)), from_rank=from_rank)
        users = tuple(dict.fromkeys(self._user(may_be_outlaw=True) for _ in range(20 if kind == "lookup" else 1)))
        return Read("lookup" if kind == "lookup" else "user" if kind == "user" else "nearby", board.key, "", users)

    def _user(self, *, may_be_outlaw: bool = False) -> str:
        while True:
            (user_id,) = self._dice.choices(self._by_activity, cum_weights=self._weights)
            if may_be_outlaw or user_id not in OUTLAWS:
                return user_id

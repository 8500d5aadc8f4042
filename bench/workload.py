"""The events that are sent: a seeded mix like a small game's, with ids and users as a real client would give them.

A quarter is `game_ended` with a score, the rest are the other things that a game reports. Payloads have 50 to 110
bytes. Ids are UUIDv7 made by the client. Players follow a power law: the busiest of 20,000 sends about 65 times as
much as the average one, and how busy a player is has nothing to do with where the name stands in the alphabet.
"""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from grandstand.domain.ids import new_ids

GAME_SHARE = 0.25
SCORE_MAX = 1_000_000
_FLATNESS = 50
_EVENTS_PER_MILLISECOND = 100
_PLATFORMS = ("android", "iphone", "windows")
_MODES = ("ranked", "casual", "duel")
_MAPS = ("harbour", "old_town", "canyon", "ice_field", "orbital_station")
_ITEMS = ("sword_of_dawn", "health_potion", "bronze_key", "rope_ladder", "map_fragment")


class ClientEvent(msgspec.Struct, gc=False):
    """One event as a client sends it."""

    id: UUID
    event_type: str
    user_id: str
    occurred_at: datetime
    payload: dict[str, Any]


_encode = msgspec.json.Encoder().encode


class Workload:
    """An endless, reproducible stream of events (ids and times are those of the moment they are made)."""

    def __init__(self, players: int, seed: int) -> None:
        self._random = random.Random(seed)
        self.user_ids = [f"player-{number:06d}" for number in range(players)]
        self.busiest_first = self.user_ids.copy()
        # The same players are the busy ones whatever the seed of the events.
        random.Random(players).shuffle(self.busiest_first)
        self._weights = list(itertools.accumulate(1 / (place + _FLATNESS) for place in range(1, players + 1)))

    def events(self, count: int) -> list[ClientEvent]:
        """Return `count` events of players drawn by activity."""
        return self._events_of(self._random.choices(self.busiest_first, cum_weights=self._weights, k=count))

    def games_of_everyone(self) -> list[ClientEvent]:
        """Return one `game_ended` of every player."""
        moments = _moments(len(self.user_ids))
        return [
            ClientEvent(event_id, "game_ended", user_id, moment, self._game())
            for user_id, (event_id, moment) in zip(self.user_ids, moments, strict=True)
        ]

    def _events_of(self, user_ids: list[str]) -> list[ClientEvent]:
        events = []
        for user_id, (event_id, moment) in zip(user_ids, _moments(len(user_ids)), strict=True):
            event_type, payload = self._happening()
            events.append(ClientEvent(event_id, event_type, user_id, moment, payload))
        return events

    def _happening(self) -> tuple[str, dict[str, Any]]:
        draw = self._random.random()
        if draw < GAME_SHARE:
            return "game_ended", self._game()
        about: dict[str, Any] = {"session_id": self._number(), "platform": self._of(_PLATFORMS)}
        if draw < GAME_SHARE + 0.25:
            return "game_started", {"mode": self._of(_MODES), "map": self._of(_MAPS)} | about
        if draw < GAME_SHARE + 0.50:
            return "item_used", {"item": self._of(_ITEMS), "left": self._number() % 9} | about
        if draw < GAME_SHARE + 0.70:
            return "level_up", {"level": self._number() % 60, "seconds": self._number() % 5000} | about
        return "purchase", {"item": self._of(_ITEMS), "price": self._number() % 50, "currency": "gems"} | about

    def _game(self) -> dict[str, Any]:
        return {
            "score": self._number(),
            "mode": self._of(_MODES),
            "map": self._of(_MAPS),
            "won": self._number() % 2 == 0,
        }

    def _number(self) -> int:
        # Several times as fast as randrange, which would be most of the time of making events.
        return int(self._random.random() * SCORE_MAX)

    def _of(self, choices: tuple[str, ...]) -> str:
        return choices[int(self._random.random() * len(choices))]


def batches(events: list[ClientEvent], size: int) -> Iterator[list[ClientEvent]]:
    """Cut events into batches; the last may be smaller."""
    for start in range(0, len(events), size):
        yield events[start : start + size]


def body_of(events: list[ClientEvent]) -> bytes:
    """Return the request body of a batch, or of a single event when there is one."""
    return _encode(events[0]) if len(events) == 1 else _encode({"events": events})


def row_of(event: ClientEvent, received_at: datetime) -> tuple[UUID, datetime, datetime, str, str, str]:
    """Return the event as a row of the events table."""
    payload = _encode(event.payload).decode()
    return event.id, received_at, event.occurred_at, event.event_type, event.user_id, payload


def _moments(count: int) -> Iterator[tuple[UUID, datetime]]:
    """Return ids and times that rise together and end about now: what many clients make in a while, in its order."""
    began_at = datetime.now(UTC) - timedelta(milliseconds=count // _EVENTS_PER_MILLISECOND)
    for number, start in enumerate(range(0, count, _EVENTS_PER_MILLISECOND)):
        moment = began_at + timedelta(milliseconds=number)
        for event_id in new_ids(min(_EVENTS_PER_MILLISECOND, count - start), moment):
            yield event_id, moment

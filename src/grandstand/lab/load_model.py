"""What so many daily players do: the arithmetic from players to requests a second, and where each figure is from.

| figure | value | source |
|---|---|---|
| events a player a day | 20 | the scalability plan that Grandstand grew from |
| games a player a day | 5 | the same; each ends with one `game_ended` |
| events a second at the peak | daily players / 100 | the same plan's table (1,000 players: 10/s) |
| events a request | 1 to 20, a power law of exponent 1 | clients collect while offline; most send one or two |
| activity of players | a power law with a flat head | the busiest of 20,000 sends about 65 times the mean |
| reads of a game | top 1, rank 1, nearby 0.5, tournament 0.2, prizes 0.1 | assumed: a game's end screen |
| when | 0.2 to 2.2 s after its batch was due, answered or not | assumed: the screen appears, the player looks |
| requests that are sent again | 1 in 100, word for word | assumed: a client that did not hear the answer |

The plan's peak is about 4.3 times the mean of a day (20 events * players / 86,400 s).
"""

import bisect
import itertools
import math
from dataclasses import dataclass
from functools import cached_property

EVENTS_A_DAY = 20
GAMES_A_DAY = 5
PEAK_PLAYERS_AN_EVENT = 100
BATCH_EVENTS_MAX = 20
BATCH_EXPONENT = 1.0
FLATNESS = 50
"""Players whose activity is about that of the busiest one."""

RETRY_SHARE = 0.01
READ_AFTER_LEAST_SECONDS = 0.2
READ_AFTER_MOST_SECONDS = 2.2
READS_A_GAME = {"top": 1.0, "rank": 1.0, "nearby": 0.5, "tournament": 0.2, "prizes": 0.1}

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class LoadModel:
    """The load of so many daily players. Rates are per second."""

    daily_players: int

    @property
    def peak_events_per_second(self) -> float:
        """Events at the peak of the day."""
        return self.daily_players / PEAK_PLAYERS_AN_EVENT

    @property
    def mean_events_per_second(self) -> float:
        """Events over the whole day."""
        return self.daily_players * EVENTS_A_DAY / DAY_SECONDS

    @property
    def game_share(self) -> float:
        """Share of the events that end a game."""
        return GAMES_A_DAY / EVENTS_A_DAY

    @property
    def peak_reads_per_second(self) -> float:
        """Reads at the peak of the day."""
        return self.peak_events_per_second * self.game_share * sum(READS_A_GAME.values())

    @property
    def peak_batches_per_second(self) -> float:
        """Requests that bring events, at the peak of the day."""
        return self.peak_events_per_second / self.batch_events_mean

    @property
    def peak_requests_per_second(self) -> float:
        """Requests at the peak of the day, reads and batches."""
        return self.peak_reads_per_second + self.peak_batches_per_second

    @cached_property
    def batch_events_mean(self) -> float:
        """Events of the mean request."""
        weights = _batch_weights()
        return sum(size * weight for size, weight in enumerate(weights, 1)) / sum(weights)

    @cached_property
    def _batch_steps(self) -> list[float]:
        weights = _batch_weights()
        total = sum(weights)
        return [step / total for step in itertools.accumulate(weights)]

    def batch_events(self, draw: float) -> int:
        """Return how many events a request has, for a draw from [0, 1)."""
        return min(BATCH_EVENTS_MAX, bisect.bisect_right(self._batch_steps, draw) + 1)


def busy_player(draw: float, players: int) -> int:
    """Return the place of a player, 0 the busiest, for a draw from [0, 1): weights are 1 / (place + flatness).

    The weights' sum is taken as the logarithm that it nears, so any number of players needs no table.
    """
    place = FLATNESS * (math.exp(draw * math.log((players + FLATNESS) / FLATNESS)) - 1.0)
    return min(players - 1, int(place))


def _batch_weights() -> list[float]:
    return [size**-BATCH_EXPONENT for size in range(1, BATCH_EVENTS_MAX + 1)]

"""When requests are due: a rate that changes over the run, and arrivals that know nothing of each other (Poisson).

Nobody waits for an answer before the next is due, so a server that stands still does not quieten its load, and the
time that requests waited for it counts ("coordinated omission" is what the opposite is called).
"""

import math
import random
from collections.abc import Iterator
from typing import Literal, get_args

Profile = Literal["steady", "peak", "spike", "storm"]
PROFILES: tuple[Profile, ...] = get_args(Profile)

MEAN_TO_PEAK = 100 * 20 / 86_400
"""The mean of a day, as a share of its peak."""

SPIKE_EVERY_SECONDS = 60.0
SPIKE_SECONDS = 5.0
SPIKE_FACTOR = 3.0
STORM_DECAY_SECONDS = 10.0
STORM_FACTOR = 5.0


def rate_factor(profile: Profile, at_seconds: float) -> float:
    """Return what the peak rate is multiplied by at a moment of the run.

    - `steady`: the mean of a day.
    - `peak`: the peak, all the time.
    - `spike`: the peak, and for five seconds of each minute three times that: a tournament ends, a day begins.
    - `storm`: everybody reconnects at once and sends what was kept: five times the peak, decaying within half a minute.
    """
    match profile:
        case "steady":
            return MEAN_TO_PEAK
        case "peak":
            return 1.0
        case "spike":
            in_spike = SPIKE_EVERY_SECONDS - at_seconds % SPIKE_EVERY_SECONDS <= SPIKE_SECONDS
            return SPIKE_FACTOR if in_spike else 1.0
        case "storm":
            return 1.0 + (STORM_FACTOR - 1.0) * math.exp(-at_seconds / STORM_DECAY_SECONDS)


def rate_factor_most(profile: Profile) -> float:
    """Return the highest factor of a profile."""
    return {"steady": MEAN_TO_PEAK, "peak": 1.0, "spike": SPIKE_FACTOR, "storm": STORM_FACTOR}[profile]


def arrivals(profile: Profile, peak_per_second: float, seconds: float, randomly: random.Random) -> Iterator[float]:
    """Yield the times (seconds from the beginning) at which requests are due, in order."""
    most = peak_per_second * rate_factor_most(profile)
    at_seconds = 0.0
    while True:
        # Thinning: drawn at the highest rate, kept with the share that the rate of the moment is of it.
        at_seconds += randomly.expovariate(most)
        if at_seconds >= seconds:
            return
        if randomly.random() * most <= peak_per_second * rate_factor(profile, at_seconds):
            yield at_seconds

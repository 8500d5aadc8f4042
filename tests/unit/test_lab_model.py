"""The load model gives the plan's figures, and arrivals are those of its profile."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grandstand.lab.arrivals import PROFILES, Profile, arrivals, rate_factor, rate_factor_most
from grandstand.lab.load_model import BATCH_EVENTS_MAX, LoadModel, busy_player


@pytest.mark.parametrize(("players", "events"), [(1_000, 10), (10_000, 100), (100_000, 1_000), (1_000_000, 10_000)])
def test_the_peak_is_that_of_the_plan(players: int, events: int) -> None:
    model = LoadModel(players)
    assert model.peak_events_per_second == events
    assert model.mean_events_per_second * 86_400 == pytest.approx(20 * players)
    assert model.peak_reads_per_second == pytest.approx(events * 5 / 20 * 2.8)
    assert model.peak_batches_per_second * model.batch_events_mean == pytest.approx(events)


def test_batches_have_the_size_that_the_model_says() -> None:
    model, randomly = LoadModel(1_000), random.Random(1)
    sizes = [model.batch_events(randomly.random()) for _ in range(50_000)]
    assert (min(sizes), max(sizes)) == (1, BATCH_EVENTS_MAX)
    assert sum(sizes) / len(sizes) == pytest.approx(model.batch_events_mean, rel=0.03)
    counts = Counter(sizes)
    assert counts[1] / counts[10] == pytest.approx(10, rel=0.2)


@given(draw=st.floats(0, 1, exclude_max=True))
def test_any_draw_is_a_size(draw: float) -> None:
    assert 1 <= LoadModel(1_000).batch_events(draw) <= BATCH_EVENTS_MAX


def test_few_players_are_busy() -> None:
    players = 20_000
    randomly = random.Random(2)
    chosen = Counter(busy_player(randomly.random(), players) for _ in range(200_000))
    assert min(chosen) >= 0
    assert max(chosen) < players
    busiest = sum(chosen[place] for place in range(20)) / 20
    assert 40 < busiest / (200_000 / players) < 90


@pytest.mark.parametrize("profile", PROFILES)
def test_arrivals_follow_the_profile(profile: Profile) -> None:
    seconds, peak = 120.0, 200.0
    due = list(arrivals(profile, peak, seconds, random.Random(3)))
    assert due == sorted(due)
    assert 0 <= due[0] <= due[-1] < seconds
    for start in range(0, 120, 20):
        expected = sum(peak * rate_factor(profile, start + step / 10) / 10 for step in range(200))
        count = sum(start <= at < start + 20 for at in due)
        assert count == pytest.approx(expected, rel=0.15)


@given(profile=st.sampled_from(PROFILES), at_seconds=st.floats(0, 10_000))
def test_no_moment_is_beyond_the_highest(profile: Profile, at_seconds: float) -> None:
    assert 0 < rate_factor(profile, at_seconds) <= rate_factor_most(profile)

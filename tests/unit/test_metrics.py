"""Counters that somebody alerts on are there before their first increase."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "series",
    [
        'grandstand_stream_losses_total{reason="vanished"}',
        'grandstand_stream_losses_total{reason="went_back"}',
        'grandstand_stream_losses_total{reason="blocks_missing"}',
        'grandstand_dead_letters_total{reason="worker_lost"}',
        'grandstand_events_refused_total{reason="full"}',
        'grandstand_webhook_attempts_total{outcome="dead"}',
        'grandstand_archive_rounds_total{outcome="refused"}',
    ],
)
def test_a_counter_begins_with_0(series: str, fresh_metrics: str) -> None:
    assert f"{series} 0.0\n" in fresh_metrics


@pytest.fixture(scope="module")
def fresh_metrics() -> str:
    """What a process that has just started shows."""
    text = "from grandstand.telemetry import metrics; print(metrics.render().decode())"
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout

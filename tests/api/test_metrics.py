"""Metrics of one process, and of several that share a folder."""

import os
import subprocess
import sys
from pathlib import Path

COUNT = """
import sys
from grandstand.telemetry import metrics
metrics.EVENTS_ACCEPTED.labels("high").inc(int(sys.argv[1]))
metrics.SCORES_UNRANKED.labels("global", "missing_field").inc()
metrics.BATCH_SECONDS.observe(0.02)
sys.stdout.buffer.write(metrics.render())
"""


def run(amount: int, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", COUNT, str(amount)], env=os.environ | environment, capture_output=True, check=True
    )
    return result.stdout.decode()


def test_a_process_alone_answers_for_itself() -> None:
    text = run(3)
    assert 'grandstand_events_accepted_total{priority="high"} 3.0' in text
    assert 'grandstand_scores_unranked_total{leaderboard="global",reason="missing_field"} 1.0' in text
    assert "_created" not in text


def test_processes_that_share_a_folder_answer_for_all(tmp_path: Path) -> None:
    for amount in (3, 4):
        text = run(amount, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert 'grandstand_events_accepted_total{priority="high"} 7.0' in text
    assert "grandstand_batch_seconds_count 2.0" in text

"""A ratio that falls too far since the last result of the same machine is told, and nothing else."""

import json
from pathlib import Path
from typing import Any

from bench.history import chart_page, falls, read_results, same_kind


def result(
    day: int, ratio: float | None, *, cores: int = 2, target: float | None = None, players: int = 20_000
) -> dict[str, Any]:
    is_met = None if target is None or ratio is None else ratio >= target
    row = {"key": "whole_path", "title": "the whole path", "unit": "events/s", "product": 1.0, "ratio": ratio}
    row |= {"target": target, "limit": None, "is_met": is_met}
    return {
        "measured_at": f"2026-01-{day:02}T00:00:00+00:00",
        "machine": {"processor": "p", "cores": cores, "memory_mb": 24_105 + day},
        "code": {"commit": f"{day:040}", "has_changes": day == 2},
        "settings": {"plan": "full", "workers": 2, "players": players},
        "rows": [row],
    }


def told(now: dict[str, Any], *earlier: dict[str, Any]) -> list[str]:
    return falls(now, same_kind(list(earlier), now))


def test_only_a_fall_of_more_than_a_fifth_is_told() -> None:
    assert told(result(2, 0.41), result(1, 0.5)) == []
    assert len(told(result(2, 0.39), result(1, 0.5))) == 1
    assert told(result(2, 0.9), result(1, 0.5)) == []


def test_the_last_result_of_the_same_machine_counts() -> None:
    assert told(result(2, 0.1), result(1, 0.9, cores=64)) == []
    assert told(result(2, 0.1), result(1, 0.9, players=1_000_000)) == []
    assert told(result(3, 0.3), result(1, 0.9), result(2, 0.3)) == []
    assert told(result(3, 0.3), result(2, None), result(1, 0.9)) != []
    assert told(result(1, 0.3), result(2, 0.9)) == []


def test_a_floor_is_held_without_any_history() -> None:
    assert told(result(1, 0.3, target=0.25)) == []
    assert "floor" in told(result(1, 0.2, target=0.25))[0]


def test_results_are_read_from_their_folder_and_drawn(tmp_path: Path) -> None:
    for day in (2, 1):
        (tmp_path / f"{day}.json").write_text(json.dumps(result(day, 0.5, target=0.25)))
    (tmp_path / "other.json").write_text("[]")
    (tmp_path / "broken.json").write_text("{")
    results = read_results(tmp_path)
    assert [each["measured_at"][:10] for each in results] == ["2026-01-01", "2026-01-02"]
    page = chart_page(results)
    assert page.count("<svg") == 1
    assert "00000000*" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")

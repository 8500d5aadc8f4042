"""The search for the capacity ends near it, in few steps, and goes on from steps that were kept."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from grandstand.lab.capacity import (
    PRECISION,
    Kept,
    Step,
    highest_held,
    kept_steps,
    next_load,
    search,
    summary,
)
from grandstand.lab.errors import LabError
from grandstand.lab.limiting import limiting
from grandstand.lab.verdict import Figures, growth, is_sustained, judge, word_for


def report_of(players: int, **changes: Any) -> dict[str, Any]:
    return {
        "verdict": "Good", "reasons": [], "events_per_second": players / 100, "reads_per_second": 7.0,
        "accept_p99_ms": 9.0, "visible_p99_ms": 90.0, "read_p99_ms": 5.0, "wrong": 0, "lost": 0, "doubled": 0,
        "used_shares": {"machine": 0.5, "http": 0.7}, "lag_seconds": {"growth_a_second": 0.0},
        "load": {"daily_players": players},
        "server": {"cores": {"http": 0.7, "worker": 0.2, "postgres": 0.4, "valkey": 0.1}, "pools": {}},
    } | changes  # fmt: skip


def steps_to(capacity: int, first: int, flaky: frozenset[int] = frozenset()) -> list[Step]:
    steps: list[Step] = []
    tried: set[int] = set()
    while (players := next_load(steps, first)) is not None:
        holds = players <= capacity and not (players in flaky and players not in tried)
        tried.add(players)
        steps.append(Step(players, holds, 1.0, report_of(players)))
        assert len(steps) < 40
    return steps


@pytest.mark.parametrize("capacity", [900, 1_000, 7_777, 99_999, 1_234_567, 40_000_000])
@pytest.mark.parametrize("first", [1_000, 10_000, 3_000_000])
def test_the_capacity_is_found_within_its_precision(capacity: int, first: int) -> None:
    held = highest_held(steps_to(capacity, first))
    assert held <= capacity
    assert held * PRECISION * 1.01 >= capacity or capacity < 1_000


def test_rows_of_the_table_within_reach_are_measured() -> None:
    steps = steps_to(1_234_567, 10_000)
    assert {1_000, 10_000, 100_000, 1_000_000} <= {step.daily_players for step in steps}
    report = summary(steps, is_known=True)
    assert [row["verdict"] for row in report["table"]] == ["Excellent", "Excellent", "Excellent", "Good", "Will fail"]
    assert [row["is_measured"] for row in report["table"]] == [True, True, True, True, False]
    assert [each["daily_players"] for each in report["projection"]["of"]] == [10_000_000]
    needs = report["projection"]["of"][0]["needs"]
    assert needs["HTTP processes"] == pytest.approx(10_000_000 / report["capacity_daily_players"], rel=0.2)


def test_a_load_that_held_is_not_said_to_fail() -> None:
    report = summary(steps_to(1_000_000, 1_000_000), is_known=True)
    assert report["capacity_daily_players"] == 1_000_000
    assert report["table"][3]["verdict"] == "Will struggle"
    assert report["table"][4]["verdict"] == "Will fail"


def words(*steps: Step, is_known: bool = False) -> list[str]:
    return [row["verdict"] for row in summary(list(steps), is_known=is_known)["table"]]


def test_what_a_search_did_not_come_to_is_not_said_to_fail() -> None:
    unknown = "Not measured"
    held, failed = Step(10_000, True, 1.0, report_of(10_000)), Step(1_000_000, False, 1.0, report_of(1_000_000))
    assert words(held) == ["Excellent", "Will struggle", unknown, unknown, unknown]
    assert words(failed) == [unknown] * 5
    assert words(held, failed, failed) == ["Excellent", "Will struggle", unknown, "Will fail", "Will fail"]
    late = Step(1_000_000, False, 1.0, report_of(1_000_000, verdict="Not measured"))
    assert words(held, late, late, is_known=True) == ["Excellent", "Will struggle", unknown, unknown, unknown]


def test_one_failure_is_not_believed() -> None:
    assert highest_held(steps_to(1_000_000, 10_000, flaky=frozenset({80_000}))) > 900_000


def test_finished_steps_are_not_done_again(tmp_path: Path) -> None:
    path, done = tmp_path / "steps.json", []

    async def attempt(players: int) -> tuple[dict[str, Any], bool]:
        if len(done) == 3:
            raise LabError("stopped")
        done.append(players)
        return report_of(players), players <= 50_000

    async def look() -> bool:
        return await search(attempt, kept_steps(path, {"workers": 2}), path, 10_000, 60.0)

    with pytest.raises(LabError):
        asyncio.run(look())
    assert done == [10_000, 20_000, 40_000]
    done.clear()
    with pytest.raises(LabError):
        asyncio.run(look())
    assert done == [80_000, 80_000, 56_600]
    with pytest.raises(LabError, match="other settings"):
        kept_steps(path, {"workers": 3})


@pytest.mark.parametrize("content", [b"", b"[]", b'{"settings":{"url":"\xff"},"steps":[]}'])
def test_a_file_that_has_no_steps_is_told_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "steps.json"
    path.write_bytes(content)
    with pytest.raises(LabError, match="no file of steps"):
        kept_steps(path, {})


def test_no_step_begins_after_its_time(tmp_path: Path) -> None:
    async def attempt(players: int) -> tuple[dict[str, Any], bool]:
        await asyncio.sleep(0.05)
        return report_of(players), True

    kept = Kept({}, [])
    assert asyncio.run(search(attempt, kept, None, 10_000, 0.02)) is False
    assert len(kept.steps) == 1


@pytest.mark.parametrize(
    ("changes", "resource"),
    [
        ({"used_shares": {"machine": 0.97, "http": 0.9}}, "processors"),
        ({"used_shares": {"machine": 0.6, "http": 0.95}}, "http"),
        ({"used_shares": {"machine": 0.6, "valkey": 0.95, "http": 0.91}}, "valkey"),
        ({"verdict": "Not measured"}, "generator"),
        ({"server": {"cores": {}, "pools": {"read": {"waiting_most": 4}}}}, "pool"),
        ({"reasons": ["the lag grew"], "lag_seconds": {"growth_a_second": 0.5}}, "lag"),
        ({}, "latency"),
    ],
)
def test_what_limits_is_named(changes: dict[str, Any], resource: str) -> None:
    found = limiting(report_of(1_000, **changes))
    assert found["resource"] == resource
    assert found["add"]


def figures(**changes: Any) -> Figures:
    values: dict[str, Any] = {
        "accept_p99_ms": 9.0, "visible_p99_ms": 90.0, "read_p99_ms": 5.0, "errors": 0, "unsent": 0, "lag_seconds": 0.1,
        "lag_growth": 0.0, "late_p99_ms": 1.0, "is_clean": True, "load_share": 0.2,
    }  # fmt: skip
    return Figures(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "Excellent"),
        ({"load_share": 0.5}, "Good"),
        ({"load_share": None}, "Good"),
        ({"load_share": 0.9}, "Will struggle"),
        ({"read_p99_ms": 50.0}, "Will struggle"),
        ({"errors": 1}, "Will fail"),
        ({"lag_growth": 0.5, "lag_seconds": 0.9}, "Will fail"),
        ({"lag_growth": 0.5, "lag_seconds": 0.2}, "Excellent"),
        ({"lag_seconds": 1.1}, "Will fail"),
        ({"unsent": 9}, "Will fail"),
        ({"is_clean": False, "late_p99_ms": 99.0}, "Will fail"),
        ({"accept_p99_ms": 300.0, "late_p99_ms": 99.0}, "Not measured"),
        ({"late_p99_ms": 40.0}, "Excellent"),
        ({"errors": 1, "visible_p99_ms": None}, "Will fail"),
    ],
)
def test_a_run_is_judged(changes: dict[str, Any], verdict: str) -> None:
    found = figures(**changes)
    assert judge(found)[0] == verdict
    assert is_sustained(found) is (
        verdict in ("Excellent", "Good") or (verdict == "Will struggle" and "load_share" in changes)
    )


@pytest.mark.parametrize("name", ["accept_p99_ms", "visible_p99_ms", "read_p99_ms", "lag_seconds"])
def test_a_goal_of_which_nothing_was_measured_is_not_met(name: str) -> None:
    assert judge(figures(**{name: None}))[0] == "Not measured"
    # A small load may go on all the same.
    assert is_sustained(figures(**{name: None}))


def test_words_follow_the_share_of_the_capacity() -> None:
    assert [word_for(share) for share in (0.24, 0.25, 0.84, 0.85, 1.0, 1.01)] == [
        "Excellent", "Good", "Good", "Will struggle", "Will struggle", "Will fail",
    ]  # fmt: skip


def test_growth_is_the_slope() -> None:
    assert growth([(at, 2 + 0.5 * at) for at in range(10)]) == pytest.approx(0.5)
    assert growth([(1, 1), (2, 9)]) == 0

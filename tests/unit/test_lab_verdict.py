"""What is known of a server's processors decides which word a run may get."""

import asyncio

import pytest

from grandstand.lab.calibration import Limit
from grandstand.lab.errors import LabError
from grandstand.lab.load_model import LoadModel
from grandstand.lab.measuring import Load, Target, measure, open_target
from grandstand.lab.report import figures_of
from grandstand.lab.run import Run
from grandstand.lab.tally import Latencies
from grandstand.lab.verdict import judge
from grandstand.lab.vitals import Sample


@pytest.mark.parametrize(
    ("url", "is_here"),
    [("http://127.0.0.1:9", True), ("http://localhost", True), ("http://[::1]:9", True), ("http://192.0.2.7", False)],
)
def test_a_server_on_another_machine_is_known_as_such(url: str, is_here: bool) -> None:
    async def look() -> bool:
        async with open_target(url, "key", 1, 1) as target:
            return target.is_here

    assert asyncio.run(look()) is is_here


def new_run() -> Run:
    """A run in which every goal that has a latency was met."""
    run = Run("192.0.2.7", 80, "key", LoadModel(1_000), 1, lambda _: None)
    latencies = Latencies()
    for name in ("accept", "visible", "top"):
        latencies.note(name, 0.01)
    run.outcome.tally.add(latencies.take())
    return run


def sample(at: int, busy: float, lag_seconds: float | None) -> Sample:
    return Sample(float(at), 0, lag_seconds, busy, {}, {}, {"generator": busy}, {}, {})


@pytest.mark.parametrize(("is_here", "busy", "verdict"), [
    (True, 0.1, "Excellent"), (True, 0.9, "Will struggle"), (False, 0.1, "Good"), (False, 0.9, "Good"),
])  # fmt: skip
def test_an_idle_generators_machine_says_nothing_of_a_server_elsewhere(
    is_here: bool, busy: float, verdict: str
) -> None:
    samples = [sample(at, busy, 0.0) for at in range(5)]
    assert judge(figures_of(new_run(), samples, "peak", is_here=is_here))[0] == verdict


def test_a_server_that_does_not_tell_its_lag_any_more_is_not_said_to_have_none() -> None:
    samples = [sample(at, 0.1, 0.0 if at < 10 else None) for at in range(20)]
    found = figures_of(new_run(), samples, "peak", is_here=True)
    assert found.lag_seconds is None
    assert judge(found)[0] == "Not measured"


def test_what_was_measured_is_reported_where_the_boards_of_the_run_cannot_be_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def done(*_: object) -> None:
        pass

    async def refused(_: Run) -> None:
        raise LabError("DELETE /b was answered with 503.")

    for name in ("prepare", "load", "close"):
        monkeypatch.setattr(Run, name, done)
    monkeypatch.setattr(Run, "tidy", refused)
    load = Load(LoadModel(1_000), "peak", 1, 1, Limit(10.0, 1, 100_000.0, 100_000.0, 1_000_000))
    report, _ = asyncio.run(measure(Target("127.0.0.1", 9, "key"), load, lambda _: None, lambda _: None))
    assert (report["verdict"], report["wrong"]) == ("Will fail", 1)
    assert report["findings"] == ["DELETE /b was answered with 503."]

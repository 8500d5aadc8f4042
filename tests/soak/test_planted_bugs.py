"""A bug of each kind, patched into every process of a tree: the soak must find it, as what it is."""

from pathlib import Path

import pytest
from soak.session import Order, run_all

PLANTED = Path(__file__).with_name("planted")


@pytest.mark.parametrize(
    ("bug", "faults", "runs", "kind", "words"),
    [
        ("acknowledge_early", ("kill-http",), 4, "lost", ""),
        ("no_dedupe", ("calm",), 4, "doubled", ""),
        ("early_stream_ack", ("kill-worker",), 4, "lost", ""),
        ("stale_rank", ("calm",), 4, "wrong_rank", ""),
        # It shows when the first run's tournament is followed to its end; one that is never settled is another bug.
        ("settle_in_pieces", ("calm",), 1, "wrong_prize", "standings []"),
    ],
)
async def test_it_is_found(bug: str, faults: tuple[str, ...], runs: int, kind: str, words: str) -> None:
    order = Order(seed=5, runs=runs, kinds=faults, planted=PLANTED / f"{bug}.py", keep_going=False, keep_folders=False)

    outcome = await run_all(order, print)

    found = [finding for result in outcome.results for finding in result.findings.first]
    assert any(finding.kind == kind and words in finding.detail for finding in found), f"{bug}: {found}"

"""A bug of each kind, patched into every process of a tree: the soak must find it, as what it is."""

from pathlib import Path

import pytest
from soak.session import Order, run_all

PLANTED = Path(__file__).with_name("planted")


@pytest.mark.parametrize(
    ("bug", "faults", "kind"),
    [
        ("acknowledge_early", ("kill-http",), "lost"),
        ("no_dedupe", ("calm",), "doubled"),
        ("early_stream_ack", ("kill-worker",), "lost"),
        ("stale_rank", ("calm",), "wrong_rank"),
        ("settle_in_pieces", ("calm",), "wrong_prize"),
    ],
)
async def test_it_is_found(bug: str, faults: tuple[str, ...], kind: str) -> None:
    order = Order(seed=5, runs=4, kinds=faults, planted=PLANTED / f"{bug}.py", keep_going=False, keep_folders=False)

    outcome = await run_all(order, print)

    found = {name for result in outcome.results for name in result.findings.counts}
    assert kind in found, f"{bug}: {found}"

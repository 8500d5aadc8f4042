"""Short fault runs on real trees, other ones each time. `SOAK_SEED` does those of a seed again."""

import os
import random
from collections.abc import AsyncIterator

import pytest
from soak.faults import FAULTS
from soak.run import Deployment
from soak.session import Order, deployed, plan

from tests.support.engines import RunningEngines
from tests.support.leaks import check_files

SEED = int(os.environ.get("SOAK_SEED") or random.randrange(1_000_000))
RUNS_A_LAYOUT = 10
EVENTS_PER_SECOND = 300.0


@pytest.fixture(scope="module", params=["embedded", "proxied"])
async def deployment(request: pytest.FixtureRequest, engines: RunningEngines) -> AsyncIterator[Deployment]:
    async with deployed(request.param) as found:
        yield found
        check_files([found.tree.log])


async def test_faults_strike_no_engine_of_whoever_runs_them(deployment: Deployment, engines: RunningEngines) -> None:
    for role in ("postgres", "valkey", "guardian"):
        found = deployment.tree.named(role)
        assert found
        assert not [process for process in found if str(engines.folder) in " ".join(process.cmdline())]


@pytest.mark.parametrize("number", range(RUNS_A_LAYOUT))
async def test_nothing_is_lost_doubled_or_ranked_wrong(deployment: Deployment, number: int) -> None:
    # Those that only the one layout can have are all in its runs; the rest is shared out by chance.
    layout = deployment.tree.layout
    kinds = [kind for kind, fault in FAULTS.items() if fault.layout in (None, layout) and fault.is_short]
    kinds.sort(key=lambda kind: (FAULTS[kind].layout is None, random.Random(f"{SEED}:{layout}:{kind}").random()))
    fault = plan(Order(seed=SEED, runs=RUNS_A_LAYOUT, kinds=kinds[:RUNS_A_LAYOUT]))[number][1]

    result = await deployment.run(SEED, number, fault, EVENTS_PER_SECOND)

    assert not result.findings, f"SOAK_SEED={SEED}, {fault.kind}: {result.findings.first}"
    assert result.acknowledged > 0
    assert result.heal_seconds is not None


async def test_every_tournament_is_settled_and_claimed_once(deployment: Deployment) -> None:
    result = await deployment.finish(SEED)

    assert not result.findings, f"SOAK_SEED={SEED}: {result.findings.first}"
    assert all(cup.state == "claimed" for cup in deployment.auditor.cups.values())

"""A deployment with boards of all kinds and tournaments, for the tests of this folder."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from valkey.asyncio import Valkey

from grandstand import clock
from tests.invariants.busy import Busy, build
from tests.support.core import core, core_database_url, open_core
from tests.support.engines import RunningEngines
from tests.tournaments.cups import Cups, WallClock, cups, wall_clock

__all__ = ["busy", "core", "core_database_url", "cups", "wall_clock"]


@dataclass(frozen=True)
class Lived:
    """Where a deployment is that has lived, and what time it is there; nobody is connected to its database."""

    database: str
    prefix: str
    now: datetime


@pytest.fixture(scope="module")
async def lived(anyio_backend: Any, engines: RunningEngines, template_database: str) -> AsyncIterator[Lived]:
    """The deployment that each test of the module gets a copy of: to live takes longer than to be copied."""
    name, prefix, time = engines.create_database(template_database), f"lived-{uuid4().hex[:8]}", WallClock()
    url = engines.database_url(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: time.now)
        async with open_core(url, engines.valkey_url, prefix, keeps=True) as living:
            await living.definer.ensure_global()
            await living.refresh()
            await build(Cups(living, time))
    yield Lived(name, prefix, time.now)
    async with open_core(url, engines.valkey_url, prefix):
        pass  # its end takes the keys away
    engines.drop_database(name)


@pytest.fixture
async def busy(lived: Lived, engines: RunningEngines, valkey_prefix: str, wall_clock: WallClock) -> AsyncIterator[Busy]:
    """The deployment that has lived, as processes find it that have just started; a test's own, to be damaged."""
    name = engines.create_database(lived.database)
    wall_clock.at(lived.now)
    async with open_core(engines.database_url(name), engines.valkey_url, valkey_prefix) as opened:
        await copy_keys(opened.valkey, lived.prefix, valkey_prefix)
        await opened.refresh()
        yield Busy(Cups(opened, wall_clock))
    engines.drop_database(name)


async def copy_keys(valkey: Valkey, prefix: str, other: str) -> None:
    """Give one prefix what another has, as it is."""
    keys = [key async for key in valkey.scan_iter(f"{prefix}:*", count=1000)]
    assert keys
    for key in keys:
        left_milliseconds = await valkey.pttl(key)
        copied = other.encode() + key.removeprefix(prefix.encode())
        await valkey.restore(copied, max(0, left_milliseconds), await valkey.dump(key))

"""A worker in a process of its own that one event kills, started as a module with where its engines are.

The process ends as a crash or the kernel would end it, whenever it is about to apply an event of the user `killer`.
"""

import asyncio
import os
import sys
from collections.abc import Sequence

from grandstand.operations.apply_events import Applied
from grandstand.storage.event_stream import Block
from tests.support.core import Core, open_core
from tests.support.workers import consumer

KILLED = 86


class MortalApplier:
    """Applies as always, but for the one event that it does not survive."""

    def __init__(self, core: Core) -> None:
        self._applier = core.new_applier()

    async def apply(self, blocks: Sequence[Block]) -> Applied:
        if any(b'"killer"' in block.data for block in blocks):
            os._exit(KILLED)
        return await self._applier.apply(blocks)


async def main(database_url: str, valkey_url: str, prefix: str, name: str, idle_seconds: float) -> None:
    async with open_core(database_url, valkey_url, prefix, keeps=True, statement_timeout_seconds=5) as core:
        worker = consumer(core, MortalApplier(core), name, reclaim_idle_seconds=idle_seconds, retry_seconds=0.05)
        await worker.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5], float(sys.argv[5])))  # type: ignore[arg-type]

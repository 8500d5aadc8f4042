"""A process that takes every step that is due: `python -m tests.tournaments.settling DATABASE VALKEY PREFIX NOW`.

It says `ready` when it begins, so that a test knows from when on it may be killed.
"""

import asyncio
import os
import sys
from datetime import datetime

from grandstand import clock
from tests.support.core import open_core
from tests.tournaments.cups import Cups, WallClock


async def main(database_url: str, valkey_url: str, prefix: str, now: str) -> None:
    time = WallClock(datetime.fromisoformat(now))
    clock.now = lambda: time.now
    async with open_core(database_url, valkey_url, prefix) as core:
        cups = Cups(core, time)
        print("ready", flush=True)
        await cups.run()
        # At once: what closing the core clears away is not its own.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

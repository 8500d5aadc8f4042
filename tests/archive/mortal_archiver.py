"""One round of archiving in a process of its own that is killed right after a step, as `kill -9` does it."""

import asyncio
import os
import signal
import sys

from tests.archive.year import Archive
from tests.support.core import open_core


async def main(database_url: str, valkey_url: str, prefix: str, url: str, last_step: str) -> None:
    async def die(step: str) -> None:
        if step == last_step:
            os.kill(os.getpid(), signal.SIGKILL)

    async with open_core(database_url, valkey_url, prefix, keeps=True) as core:
        await Archive(core, url).run(on_step=die)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))

"""Jobs of the benchmark end with whoever began them, however that ends."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

import psutil
from bench.jobs import Job

from tests.support.server import is_running
from tests.support.waiting import eventually


def prepare_spinning(_: None) -> Callable[[], None]:
    def spin() -> None:
        while True:
            pass

    return spin


def parent() -> None:
    async def begin() -> None:
        async with Job(prepare_spinning, None) as job:
            job.begin()
            print(job.pid, flush=True)
            await job.result()

    asyncio.run(begin())


def test_a_job_does_not_outlive_who_began_it() -> None:
    command = [sys.executable, "-c", "from tests.bench.test_jobs import parent; parent()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        job = psutil.Process(int(process.stdout.readline()))
        process.kill()
    try:
        eventually(lambda: not is_running(job), 60)
    finally:
        if is_running(job):
            job.kill()

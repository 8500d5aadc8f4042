"""Keeps processes from working, so that what is measured begins when they are let go."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def held(pids: list[int]) -> Iterator[Callable[[], float]]:
    """Stop processes for the block or until the function is called, which returns the moment (monotonic clock)."""

    def let_go() -> float:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        return time.monotonic()

    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield let_go
    finally:
        let_go()

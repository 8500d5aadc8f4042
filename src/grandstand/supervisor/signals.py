"""What tells the tree to stop: signals, a second Ctrl-C, and the end of the parent process."""

import asyncio
import os
import signal

PARENT_POLL_SECONDS = 0.25
# A terminal's Ctrl-C may come twice, once from `make`; a person's second one comes later.
HURRY_AFTER_SECONDS = 0.5


class StopSignals:
    """`stop` is set by SIGTERM, SIGINT and SIGHUP, `hurry` by another SIGINT after that, `restart` by SIGUSR2."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self.restart = asyncio.Event()
        self._stopped_at = 0.0

    def install(self) -> None:
        """Take the signals over, in the running loop. A SIGHUP that is ignored (nohup) stays ignored."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            loop.add_signal_handler(number, self._received, number)
        loop.add_signal_handler(signal.SIGUSR2, self.restart.set)

    def _received(self, number: signal.Signals) -> None:
        now = asyncio.get_running_loop().time()
        if not self.stop.is_set():
            self._stopped_at = now
            self.stop.set()
        elif number == signal.SIGINT and now - self._stopped_at > HURRY_AFTER_SECONDS:
            self.hurry.set()

    async def watch_parent(self, parent_pid: int) -> None:
        """Stop when the process that started this one is gone; it runs until then."""
        while os.getppid() == parent_pid:  # noqa: ASYNC110 - nothing portable tells of a parent's end
            await asyncio.sleep(PARENT_POLL_SECONDS)
        self.stop.set()

"""The clock of an event loop in a test's hands: what waits for a time waits for the test, not for the machine."""

import asyncio

import pytest

_TURNS = 5


class LoopClock:
    """The clock of the running event loop. It stands still unless the test says that time passes.

    Sockets go on as ever; no timer of the loop ends by itself, so `eventually_async` is of no use meanwhile.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self._monkeypatch = monkeypatch
        self._usual = self._loop.time
        self._now = self._usual()
        monkeypatch.setattr(self._loop, "time", lambda: self._now)

    async def let_pass(self, seconds: float) -> None:
        """Let time pass, and give whoever has waited for it a few turns of the loop."""
        self._now += seconds
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def go_on(self) -> None:
        """Let time pass by itself again, from what it is now: what began meanwhile ends as it would have."""
        ahead_seconds = self._now - self._usual()
        self._monkeypatch.setattr(self._loop, "time", lambda: self._usual() + ahead_seconds)

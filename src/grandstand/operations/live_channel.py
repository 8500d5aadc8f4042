"""A live topic: its newest state, and everybody who is told of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

_SLICE_LISTENERS = 200
"""Listeners told without a break: a few milliseconds, which requests of the same process have to wait."""


@dataclass(frozen=True, slots=True)
class Update:
    """The state of a topic: equal states have equal ids. `event` is the same for every listener, ready to be sent."""

    id: str
    event: bytes
    period: str


class Channel:
    """The newest state of a topic and its listeners, who are called and never waited for."""

    task: "asyncio.Task[None]"

    def __init__(self, latest: Update) -> None:
        self.latest = latest
        self.seats = 0
        """How many have asked to listen, whether or not they began."""

        self._listeners: dict[Callable[[Update], None], Callable[[], None]] = {}
        self._is_ended = False

    def join(self, tell: Callable[[Update], None], end: Callable[[], None]) -> None:
        """Call `tell` with the newest state now, after each change and once in a while, and `end` when it is over."""
        if self._is_ended:
            end()
            return
        self._listeners[tell] = end
        tell(self.latest)

    def leave(self, tell: Callable[[Update], None]) -> None:
        """Call a listener no more."""
        self._listeners.pop(tell, None)

    async def tell(self) -> None:
        """Tell every listener the newest state, with breaks in which others get their turn."""
        for number, tell in enumerate(list(self._listeners), 1):
            # It may have left in a break; one that came in a break has heard already.
            if tell in self._listeners:
                tell(self.latest)
            if number % _SLICE_LISTENERS == 0:
                await asyncio.sleep(0)

    def end(self) -> None:
        """Tell everybody that it is over; nobody is told anything afterwards."""
        self._is_ended = True
        listeners, self._listeners = self._listeners, {}
        for end in listeners.values():
            end()

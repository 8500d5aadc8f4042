"""What is due later, by the millisecond: thousands wait, and nobody needs them in order before they are due."""

import time
from collections import defaultdict, deque
from operator import itemgetter
from typing import Generic, TypeVar

T = TypeVar("T")

_SLOTS_A_SECOND = 1_000
_due_at = itemgetter(0)


class Agenda(Generic[T]):
    """Things and the moments of the monotonic clock at which they are due, from now on.

    A thing is handed out once its whole millisecond is over: up to a millisecond late.
    """

    def __init__(self) -> None:
        self._slots: defaultdict[int, list[tuple[float, T]]] = defaultdict(list)
        self._ready: deque[tuple[float, T]] = deque()
        self._next = int(time.monotonic() * _SLOTS_A_SECOND)

    def __bool__(self) -> bool:
        """Return whether anything is there, due or not."""
        return bool(self._ready or self._slots)

    def add(self, due_at: float, what: T) -> None:
        """Remember something. What was due before is due at once."""
        self._slots[max(self._next, int(due_at * _SLOTS_A_SECOND))].append((due_at, what))

    def take(self, now: float, count_max: int) -> list[tuple[float, T]]:
        """Return and forget what is due, each with its moment, in their order; the rest of more comes the next time."""
        end = int(now * _SLOTS_A_SECOND)
        if end > self._next:
            for slot in range(self._next, end) if self._slots else ():
                if found := self._slots.pop(slot, None):
                    found.sort(key=_due_at)
                    self._ready += found
            self._next = end
        if not self._ready:
            return []
        return [self._ready.popleft() for _ in range(min(count_max, len(self._ready)))]

"""How far users get through the steps of a funnel. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta


class Funnel:
    """Counts users by step, from events that come user by user in the order of time.

    A user takes a step with an event of its type that occurred after that of the step before (not at the same moment),
    and within `within` of the first step's. Every first step is tried, so an early one that led nowhere does not stand
    in the way of a later one.
    """

    def __init__(self, steps: Sequence[str], within: timedelta | None) -> None:
        self.users = [0] * len(steps)
        """Users who took each step, once `finish` was called."""
        self._numbers: dict[str, list[int]] = {}
        for number, event_type in enumerate(steps):
            self._numbers.setdefault(event_type, []).append(number)
        self._within = within
        self._user_id: str | None = None
        self._forget()

    def _forget(self) -> None:
        # By step: the latest first step from which the user has come so far.
        self._began: list[datetime | None] = [None] * len(self.users)
        self._now: datetime | None = None
        self._arrived: list[tuple[int, datetime]] = []

    def add(self, user_id: str, event_type: str, occurred_at: datetime) -> None:
        """Take the next event."""
        if user_id != self._user_id:
            self.finish()
            self._user_id = user_id
        elif occurred_at != self._now:
            self._arrive()
        self._now = occurred_at
        for number in self._numbers[event_type]:
            began = self._began[number - 1] if number else occurred_at
            if began is not None and (self._within is None or occurred_at - began <= self._within):
                self._arrived.append((number, began))

    def finish(self) -> None:
        """Count the user whose events came last."""
        self._arrive()
        for number, began in enumerate(self._began):
            self.users[number] += began is not None
        self._forget()

    def _arrive(self) -> None:
        # Only now: events of one moment are not after each other.
        for number, began in self._arrived:
            held = self._began[number]
            self._began[number] = began if held is None else max(held, began)
        self._arrived.clear()

"""Whether the sessions behind open streams are good still: one look a process every few seconds, for all of them.

A stream lasts for minutes. Log-outs, revoked sessions and changed roles reach it on every process with the next look;
while PostgreSQL is out of reach it goes on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from grandstand.domain.operators import Operator
from grandstand.operations.operator_sessions import OperatorSessions

FOLLOW_SECONDS = 2.0
"""The time between two looks."""


@dataclass(eq=False, slots=True)
class _Followed:
    session: str
    operator: Operator
    is_good: bool = True


class FollowedSessions:
    """The sessions that streams of one process are open for."""

    def __init__(self, sessions: OperatorSessions) -> None:
        self._sessions = sessions
        self._followed: set[_Followed] = set()

    @contextmanager
    def follow(self, session: str, operator: Operator) -> Iterator[Callable[[], bool]]:
        """Give what tells whether a session goes on as this operator's, with the same role."""
        followed = _Followed(session, operator)
        self._followed.add(followed)
        try:
            yield lambda: followed.is_good
        finally:
            self._followed.remove(followed)

    async def look(self) -> None:
        """Look at all sessions that are followed, if there are any.

        Raises:
            UnavailableError: the database is out of reach.
        """
        followed = list(self._followed)
        if not followed:
            return
        good = await self._sessions.find_all({each.session for each in followed})
        for each in followed:
            each.is_good = each.is_good and good.get(each.session) == each.operator

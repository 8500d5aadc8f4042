"""Look-ups of single players that come in the same turn of the event loop share one call to an engine.

A call costs a process about as much as twenty look-ups in one do. Nothing waits for a call that is under way: who
comes later is part of the next one, which leaves at once, so a slow server delays nobody twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from grandstand.telemetry import traces

Place = TypeVar("Place", bound=Hashable)
Found = TypeVar("Found")

CALL_USERS_MAX = 200
"""Look-ups of one call, as many as of one `lookup`: about a millisecond of the server's single thread."""


class GatheredLookups(Generic[Place, Found]):
    """Gathers the look-ups of one process. `ask` answers for all users that it is given, in one place (a ranking)."""

    def __init__(self, ask: "Callable[[Place, Sequence[str]], Awaitable[Mapping[str, Found]]]") -> None:
        self._ask = ask
        self._open: dict[Place, list[tuple[str, asyncio.Future[Found]]]] = {}
        self._calls: set[asyncio.Task[None]] = set()

    async def find(self, place: Place, user_id: str) -> Found:
        """Return what `ask` says of a user, asked after this call began.

        Raises:
            Exception: what `ask` raises.
        """
        group = self._open.get(place)
        if group is None or len(group) >= CALL_USERS_MAX:
            group = self._open[place] = []
            # It begins in the next turn: whoever comes in this one is part of the call.
            call = asyncio.create_task(self._call(place, group), name="look up players", context=traces.OUTSIDE)
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        group.append((user_id, answer))
        return await answer

    async def _call(self, place: Place, group: "list[tuple[str, asyncio.Future[Found]]]") -> None:
        if self._open.get(place) is group:
            del self._open[place]
        try:
            found = await self._ask(place, list(dict.fromkeys(user_id for user_id, _ in group)))
            for user_id, answer in group:
                if not answer.done():
                    answer.set_result(found[user_id])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(error)
        finally:
            # Only where the loop ends under the call.
            for _, answer in group:
                answer.cancel()

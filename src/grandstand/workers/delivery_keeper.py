"""Keeps the deliveries of a worker that is slow but alive: without it others would take them as a dead one's."""

from collections.abc import Callable

from grandstand.storage.event_stream import Block, EventStream

_Key = tuple[int, bytes]


class DeliveryKeeper:
    """Renews what one worker holds; `deliveries` says what that is right now."""

    def __init__(self, name: str, stream: EventStream, deliveries: Callable[[], list[Block]]) -> None:
        self._name = name
        self._stream = stream
        self._deliveries = deliveries
        self._seen: set[_Key] = set()

    async def renew(self) -> None:
        """Renew what was held at the last call already: nearly all deliveries are done before that.

        Raises:
            valkey.exceptions.ValkeyError: the stream is out of reach, or lost its group.
        """
        held = self._deliveries()
        old = [block for block in held if block[:2] in self._seen]
        self._seen = {block[:2] for block in held}
        if old:
            await self._stream.renew(self._name, old)

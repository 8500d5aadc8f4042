"""Planted bug: an event whose id is known is stored once and scored again."""

from typing import Any

from grandstand.operations.apply_events import EventApplier
from grandstand.storage.event_log import EventLog

_find_known = EventLog.find_known
_store_rows = EventApplier._store_rows


async def _know_nothing(self: EventLog, connection: Any, ids: Any) -> set[str]:
    return set()


async def _store_new(self: EventApplier, connection: Any, new: Any, partitions: Any) -> None:
    known = await _find_known(self._event_log, connection, [event.id for event, _ in new])
    await _store_rows(self, connection, [item for item in new if item[0].id not in known], partitions)


EventLog.find_known = _know_nothing
EventApplier._store_rows = _store_new

"""Planted bug: an event whose id is known is stored once and scored again."""

from typing import Any

from grandstand.storage.event_log import EventLog

_find_known = EventLog.find_known
_store = EventLog.store


async def _know_nothing(self: EventLog, connection: Any, ids: Any) -> set[str]:
    return set()


async def _store_new(self: EventLog, connection: Any, month: Any, events: Any) -> None:
    known = await _find_known(self, connection, [event[0] for event in events])
    await _store(self, connection, month, [event for event in events if event[0] not in known])


EventLog.find_known = _know_nothing
EventLog.store = _store_new

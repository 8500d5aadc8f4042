"""Planted bug: an event whose id is known is stored once and scored again."""

from typing import Any

from grandstand.storage.event_log import EventLog
from grandstand.storage.event_rows import EventRows

_find_known = EventLog.find_known
_store = EventLog.store


async def _know_nothing(self: EventLog, connection: Any, ids: Any) -> set[str]:
    return set()


async def _store_new(self: EventLog, connection: Any, partition: Any, events: EventRows) -> None:
    known = await _find_known(self, connection, events.ids)
    places = [place for place, event_id in enumerate(events.ids) if event_id not in known]
    new = EventRows([])
    for name, column in vars(events).items():
        setattr(new, name, [column[place] for place in places])
    await _store(self, connection, partition, new)


EventLog.find_known = _know_nothing
EventLog.store = _store_new

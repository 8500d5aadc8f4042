"""The outbox: what webhooks tell, written in the transaction of what happened, with a row for each who is to hear it.

So nothing is told that was rolled back and nothing is lost that was committed, whoever dies afterwards. An endpoint
gets what is committed after it was created, and nothing older; what is committed while it is disabled waits as dead.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from grandstand import clock
from grandstand.domain.ids import new_ids
from grandstand.domain.webhooks import EventType
from grandstand.storage import queries
from grandstand.storage.postgres import Connection

KEPT_DISABLED_DAYS = 30
"""For so long after an endpoint was disabled, what happens is kept for it as dead deliveries."""

_encode = msgspec.json.Encoder().encode


class Outbox:
    """Adds to the outbox, on the caller's connection and in the caller's transaction."""

    async def add(self, connection: "Connection[Any]", event_type: EventType, payload: Any) -> UUID:
        """Add one event; return its id, which receivers see as `webhook-id`.

        `payload` is an object for msgspec to encode (a mapping or a struct; times become RFC 3339): `data` of the body.
        """
        return (await self.add_many(connection, [(event_type, payload)]))[0]

    async def add_many(self, connection: "Connection[Any]", events: Sequence[tuple[EventType, Any]]) -> list[UUID]:
        """Add (type, payload) events in one statement, however many; return their ids in the same order."""
        if not events:
            return []
        event_ids = new_ids(len(events), clock.now())
        types = [event_type for event_type, _ in events]
        texts = [_encode(payload).decode() for _, payload in events]
        await connection.execute(queries.load("webhooks/add_events.sql"), event_ids, types, texts, KEPT_DISABLED_DAYS)
        return event_ids

    async def add_for(
        self, connection: "Connection[Any]", event_type: str, payload: Any, endpoint_id: UUID
    ) -> UUID | None:
        """Add an event for one endpoint alone; return its id, or None when there is no such endpoint in use."""
        (event_id,) = new_ids(1, clock.now())
        added: UUID | None = await connection.fetchval(
            queries.load("webhooks/add_event_for.sql"), event_id, event_type, _encode(payload).decode(), endpoint_id
        )
        return added

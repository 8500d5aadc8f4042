"""Events as the workload makes them and the auditor remembers them."""

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

DIRECT = "grandstand.score"
"""Type under which the product stores direct writes of scores."""


@dataclass(slots=True, eq=False)
class Event:
    """One event. `occurred_at` of None: the server says (a direct write), and the auditor reads it from the store."""

    event_id: str
    event_type: str
    user_id: str
    payload: dict[str, Any]
    occurred_at: datetime | None
    is_acknowledged: bool = False
    is_stored: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as a client sends it."""
        assert self.occurred_at is not None
        return {
            "id": self.event_id,
            "event_type": self.event_type,
            "user_id": self.user_id,
            "payload": self.payload,
            "occurred_at": self.occurred_at.isoformat(),
        }


def make_id(dice: random.Random, at: datetime) -> str:
    """Return a UUID: mostly version 7, as good clients make them, and sometimes a random one."""
    number = dice.getrandbits(128)
    if dice.random() < 0.8:
        milliseconds = int(at.timestamp() * 1000)
        number = (milliseconds << 80) | (number & ((1 << 80) - 1))
        number = (number & ~(0xF << 76)) | (7 << 76)
    else:
        number = (number & ~(0xF << 76)) | (4 << 76)
    return str(UUID(int=(number & ~(0x3 << 62)) | (0x2 << 62)))

"""What a player leaves behind, and the search for it: every table and every key, byte for byte."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import msgspec
import pytest

from grandstand.operations.audit import Origin, acting_as
from grandstand.operations.put_player import PlayerKeeper
from grandstand.storage.credentials import keep_device, revoke_player
from grandstand.storage.dead_letters import NewLetter
from tests.support.core import Core
from tests.support.engines import SCHEMA
from tests.tournaments.cups import Cups

NAME = "Zoë ✓ / 100%"


@dataclass
class Life:
    """A deployment and the player in it."""

    cups: Cups
    busy: Any

    @property
    def core(self) -> Core:
        return self.cups.core

    async def erase(self) -> None:
        """Erase the player to the end."""
        await self.core.new_eraser().erase(NAME)
        self.cups.time.forward(seconds=1)
        assert await self.core.new_erasure_finisher().finish() == 1

    async def totals(self) -> dict[str, list[tuple[Any, ...]]]:
        """What must be the same afterwards."""
        queries = {
            "events": "SELECT event_type, received_at::date, count(*) FROM events GROUP BY 1, 2 ORDER BY 1, 2",
            "users": "SELECT count(DISTINCT user_id) FROM events",
            "prizes": "SELECT kind, count(*), sum(amount) FROM prizes GROUP BY 1 ORDER BY 1",
            "claimed": "SELECT count(*), sum(amount) FROM prizes WHERE status = 'claimed'",
            "standings": "SELECT tournament_id, occurrence, rank, score FROM standings ORDER BY 1, 2, 3",
            "archives": "SELECT ranking_id, rank, score FROM archived_entries ORDER BY 1, 2",
        }
        return {name: [tuple(row) for row in await self.cups.fetch(query)] for name, query in queries.items()}


async def live(cups: Cups, monkeypatch: pytest.MonkeyPatch, busy: ModuleType, place: int) -> Life:
    """Let a deployment live for some hours with the player at this place among the others."""
    monkeypatch.setattr(busy, "USERS", [NAME if number == place else f"p{number:02}" for number in range(12)])
    life = Life(cups, await busy.build(cups))
    core, now = life.core, cups.time.now
    with acting_as(Origin("server", "key_1", "203.0.113.7")):
        await PlayerKeeper(core.database, core.players, core.changes).put(
            NAME, msgspec.json.encode({"display_name": "Zoë", "metadata": {"mail": "z@example.org"}}), by_player=False
        )
    async with core.database.transaction() as connection:
        await keep_device(connection, b"device", NAME)
        await revoke_player(connection, NAME, now)
        letters = [
            letter(now, "event", NAME, msgspec.json.encode({"user_id": NAME, "payload": {"x": "\x00"}})),
            letter(now, "block", None, b'[{"user_id":"other"},{"user_id":"%b"},oh' % NAME.encode()),
        ]
        await core.letters.put(connection, letters)
    return life


def letter(now: Any, form: Any, user_id: str | None, body: bytes) -> NewLetter:
    return NewLetter(
        uuid4(), uuid4().hex, form, None, None, user_id, now, now, "low", 1, body, "Error", "broken", 3, now, now
    )


def needles() -> list[bytes]:
    """The forms in which the id could be somewhere."""
    raw = NAME.encode()
    coded = [base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)]
    return [raw, quote(NAME, safe="").encode(), quote(NAME).encode(), json.dumps(NAME)[1:-1].encode(), *coded]


async def places_in_postgres(core: Core) -> set[str]:
    """The columns that hold the id in any form."""
    tables = await core.database.pool.fetch(
        "SELECT relname FROM pg_class AS c JOIN pg_namespace AS n ON c.relnamespace = n.oid "
        "WHERE n.nspname = $1 AND relkind IN ('r', 'p')",
        SCHEMA,
    )
    found = set()
    for (table,) in tables:
        for row in await core.database.pool.fetch(f'SELECT * FROM "{table}"'):
            found |= {f"{table}.{column}" for column, value in row.items() if holds(value)}
    return found


async def places_in_valkey(core: Core) -> set[str]:
    """The keys that hold the id in any form, in their name or value."""
    found = set()
    async for key in core.valkey.scan_iter(f"{core.prefix}:*", count=1000):
        kind = (await core.valkey.type(key)).decode()
        value: Any = {
            "string": core.valkey.get, "hash": core.valkey.hgetall, "set": core.valkey.smembers,
            "stream": core.valkey.xrange,
        }.get(kind)  # fmt: skip
        content = await (core.valkey.zrange(key, 0, -1) if kind == "zset" else value(key))
        if holds(key) or holds(content):
            found.add(key.decode().rpartition(":")[2])
    return found


def holds(value: Any) -> bool:
    return any(needle in text for text in texts(value) for needle in needles())


def texts(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from texts(pair)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from texts(item)
    else:
        yield str(value).encode()

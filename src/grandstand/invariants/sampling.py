"""Draws samples: the same seed on the same data draws the same, and a large table is not read as a whole for it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from grandstand.invariants.check import Look
from grandstand.storage import queries
from grandstand.storage.postgres import Connection, open_cursor

_PAGE_BYTES = 8192
_PAGES_MIN = 2_000
"""Pages of a table that are drawn from at least: smaller tables are drawn from as a whole."""

_CHUNK_USERS = 100


async def page_percent(look: Look, connection: "Connection[Any]", table: str) -> float:
    """Return the share of a table's pages, in percent, that holds enough for the scope's sample."""
    size = (await look.rows(connection, "table_bytes", table))[0][0] or 0
    wanted = max(_PAGES_MIN, look.scope.sample or 0)
    return min(100.0, 100.0 * wanted / max(1.0, size / _PAGE_BYTES))


async def user_chunks(look: Look, connection: "Connection[Any]", kind: str) -> AsyncIterator[list[str]]:
    """Yield the users to look at in chunks. `kind` names who: those with `scores`, or the `participants`."""
    if look.scope.sample is not None:
        tables = ("events", "entries") if kind == "scores" else ("participants",)
        percents = [await page_percent(look, connection, table) for table in tables]
        drawn = await look.rows(
            connection, f"sample_{kind}", *percents, look.scope.seed, str(look.scope.seed), look.scope.sample
        )
        users = sorted(row[0] for row in drawn)
        for start in range(0, len(users), _CHUNK_USERS):
            yield users[start : start + _CHUNK_USERS]
        return
    timeout = look.scope.statement_timeout_seconds
    cursor = await open_cursor(connection, queries.load(f"invariants/all_{kind}.sql"), timeout_seconds=timeout)
    while rows := await cursor.fetch(_CHUNK_USERS, timeout=timeout):
        yield [row[0] for row in rows]


def chosen(look: Look, items: Sequence[Any], share: int = 1) -> Sequence[Any]:
    """Return the first of the items, up to the sample divided by `share`; all of them when there is no sample."""
    return items if look.scope.sample is None else items[: max(1, look.scope.sample // share)]

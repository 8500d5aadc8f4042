"""Erasures in PostgreSQL: their record, and the statements that take a player out. All on the caller's connection."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from grandstand.storage import queries
from grandstand.storage.postgres import Connection

_ANALYZE_SECONDS_MAX = 600
"""To sample a large table takes its time, and nobody waits for it."""

_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


class Erasure(NamedTuple):
    """An erasure under way. `pseudonym` stands where the player stood; what arrived after `requested_at` stays."""

    erasure_id: UUID
    user_id: str
    pseudonym: str
    requested_at: datetime


class ErasureStore:
    """Writes and reads the records, and erases."""

    async def add(self, connection: "Connection[Any]", erasure: Erasure, user_hash: bytes) -> None:
        """Write down that an erasure begins."""
        await connection.execute(
            queries.load("erasures/insert.sql"), erasure.erasure_id, user_hash, erasure.user_id, erasure.pseudonym,
            erasure.requested_at,
        )  # fmt: skip

    async def find_pending(self, connection: "Connection[Any]", user_id: str) -> Erasure | None:
        """Return the erasure of a player that is under way."""
        row = await connection.fetchrow(queries.load("erasures/find_pending.sql"), user_id)
        return None if row is None else Erasure(*row)

    async def list_pending(self, connection: "Connection[Any]", count_max: int) -> list[Erasure]:
        """Return erasures under way, the oldest first."""
        return [Erasure(*row) for row in await connection.fetch(queries.load("erasures/list_pending.sql"), count_max)]

    async def finish(self, connection: "Connection[Any]", erasure: Erasure, now: datetime) -> None:
        """Write down that an erasure is done, and forget whom it was about."""
        await connection.execute(queries.load("erasures/finish.sql"), erasure.erasure_id, now)

    async def take_out(self, connection: "Connection[Any]", erasure: Erasure) -> None:
        """Take the player out of everything that scores, sessions and running tournaments go by.

        Needs the ledger alone.
        """
        await connection.execute(queries.load("erasures/empty_player.sql"), erasure.user_id, erasure.requested_at)
        await connection.execute(queries.load("erasures/add_pseudonym.sql"), erasure.pseudonym, erasure.requested_at)
        for name in ("delete_buckets", "delete_removals", "delete_devices", "delete_revocation"):
            await connection.execute(queries.load(f"erasures/{name}.sql"), erasure.user_id)
        await self.delete_dead_letters(connection, erasure)
        await self.rename_quarantine(connection, erasure)

    async def has_unarchived(self, connection: "Connection[Any]", erasure: Erasure) -> bool:
        """Return whether ranks of the player are final and yet to be archived, in an order that goes by the id."""
        found: bool = await connection.fetchval(
            queries.load("erasures/has_unarchived.sql"), erasure.user_id, erasure.requested_at
        )
        return found

    async def has_archived_events(self, connection: "Connection[Any]", erasure: Erasure) -> bool:
        """Return whether archived files, or what is about to go with them, still name the player or may do so."""
        found: bool = await connection.fetchval(
            queries.load("erasures/has_archived_events.sql"), erasure.user_id, erasure.requested_at
        )
        return found

    async def rename_finals(self, connection: "Connection[Any]", erasure: Erasure) -> None:
        """Rename in what tournaments ended with: in one transaction, for all of it is compared with each other."""
        _, user_id, pseudonym, moment = erasure
        for name in ("rename_standings", "rename_participants", "rename_tournament_archives"):
            await connection.execute(queries.load(f"erasures/{name}.sql"), user_id, pseudonym, moment)
        rows = await connection.fetch(queries.load("erasures/rename_prizes.sql"), user_id, pseudonym, moment)
        prize_ids = [row["prize_id"] for row in rows]
        await connection.execute(queries.load("erasures/empty_prize_steps.sql"), prize_ids, user_id, pseudonym)

    async def rename_quarantine(self, connection: "Connection[Any]", erasure: Erasure) -> None:
        """Reject what is kept apart of the player, and take the id off it."""
        await connection.execute(
            queries.load("erasures/rename_quarantine.sql"), erasure.user_id, erasure.pseudonym, erasure.requested_at
        )
        await connection.execute(queries.load("erasures/delete_minutes.sql"), erasure.user_id)

    async def delete_dead_letters(self, connection: "Connection[Any]", erasure: Erasure) -> None:
        """Delete the player's dead letters."""
        await connection.execute(
            queries.load("erasures/delete_dead_letters.sql"), erasure.user_id, erasure.requested_at
        )

    async def rename_dead_blocks(self, connection: "Connection[Any]", erasure: Erasure, after: UUID) -> UUID | None:
        """Take the id out of some dead letters behind `after`; return the last one, None when there are no more."""
        old = msgspec.json.encode(erasure.user_id)
        rows = await connection.fetch(
            queries.load("erasures/find_dead_blocks.sql"), old, erasure.user_id, erasure.requested_at, after
        )
        for row in rows:
            body = _with_other_text(bytes(row["body"]), old, msgspec.json.encode(erasure.pseudonym))
            await connection.execute(
                queries.load("erasures/set_dead_body.sql"), row["dead_letter_id"], body, erasure.user_id
            )
        return rows[-1]["dead_letter_id"] if rows else None

    async def rename_events(self, connection: "Connection[Any]", erasure: Erasure, count_max: int) -> int:
        """Give some of the player's events to the pseudonym, emptied; return how many there were."""
        status: str = await connection.execute(
            queries.load("erasures/rename_events_chunk.sql"), erasure.user_id, erasure.pseudonym, erasure.requested_at,
            count_max,
        )  # fmt: skip
        return int(status.rpartition(" ")[2])

    async def rename_archives(
        self, connection: "Connection[Any]", erasure: Erasure, after: int, count_max: int
    ) -> int | None:
        """Rename in some archived rankings behind `after`; return the last one, None when there are no more."""
        last: int | None = await connection.fetchval(
            queries.load("erasures/rename_archives_chunk.sql"), erasure.user_id, erasure.pseudonym, after,
            erasure.requested_at, count_max,
        )  # fmt: skip
        return last

    async def rename_audit(
        self, connection: "Connection[Any]", erasure: Erasure, after: int, count_max: int
    ) -> int | None:
        """Take the id out of some of the audit log; return the last entry, None when there are no more."""
        last: int | None = await connection.fetchval(
            queries.load("erasures/rename_audit_chunk.sql"), erasure.user_id, erasure.pseudonym, after, count_max
        )
        return last

    async def rename_outbox(
        self, connection: "Connection[Any]", erasure: Erasure, after: UUID, count_max: int
    ) -> UUID | None:
        """Take the id out of some of the outbox; return the last event, None when there are no more."""
        last: UUID | None = await connection.fetchval(
            queries.load("erasures/rename_outbox_chunk.sql"), erasure.user_id, erasure.pseudonym, after, count_max
        )
        return last

    async def delete_unswept_entries(self, connection: "Connection[Any]", erasure: Erasure) -> None:
        """Delete the player's entries on rankings that nobody reads any more."""
        await connection.execute(queries.load("erasures/delete_unswept_entries.sql"), erasure.user_id)

    async def unswept_rankings(
        self, connection: "Connection[Any]", after: int, count_max: int
    ) -> Sequence[tuple[int, bool]]:
        """Return rankings that may have an index, and whether nobody reads it any more."""
        rows = await connection.fetch(queries.load("erasures/list_unswept_rankings.sql"), after, count_max)
        return [(row["ranking_id"], row["is_over"]) for row in rows]

    async def list_statistics(self, connection: "Connection[Any]", erasure: Erasure) -> list[str]:
        """Return the tables, as names for `analyze`, of whose rows PostgreSQL keeps samples that hold the id."""
        rows = await connection.fetch(queries.load("erasures/list_statistics.sql"), erasure.user_id)
        return [row["table_name"] for row in rows]

    async def analyze(self, connection: "Connection[Any]", table: str) -> None:
        """Have PostgreSQL take its samples of a table anew; nothing is done to one that is no more."""
        if await connection.fetchval(queries.load("erasures/has_table.sql"), table):
            await connection.execute(queries.load("erasures/allow_time.sql"), str(_ANALYZE_SECONDS_MAX * 1000))
            statement = queries.load("erasures/analyze.sql").format(table=table)
            await connection.execute(statement, timeout=_ANALYZE_SECONDS_MAX)

    async def end_player(self, connection: "Connection[Any]", erasure: Erasure) -> None:
        """Forget that the player's older events do not count."""
        await connection.execute(queries.load("erasures/end_player.sql"), erasure.user_id, erasure.requested_at)


async def list_erased(connection: "Connection[Any]", since: datetime) -> dict[bytes, datetime]:
    """Return the hashes of players that were erased after `since`, and when."""
    rows = await connection.fetch(queries.load("erasures/list_hashes.sql"), since)
    return {bytes(row["user_hash"]): row["erased_at"] for row in rows}


def _with_other_text(body: bytes, old: bytes, new: bytes) -> bytes:
    """Replace a JSON text by another. An id of commas stands between other texts, too, and stays there."""
    try:
        msgspec.json.decode(body)
    except msgspec.DecodeError:
        # Nobody reads it as JSON any more: where its texts begin is not to be known.
        return body.replace(old, new)
    return _TEXT.sub(lambda text: new if text[0] == old else text[0], body)

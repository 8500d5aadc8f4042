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
from tests.support.core import Core, event
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
        board = core.board("global").leaderboard_id
        await connection.execute(
            "INSERT INTO quarantine (quarantine_id, event_id, leaderboard_id, user_id, event_type, score, occurred_at,"
            " received_at, reason, quarantined_at) VALUES ($1, $1, $2, $3, 'game_ended', 9, $4, $4, 'score', $4)",
            uuid4(), board, NAME, now,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO plausibility_minutes (leaderboard_id, user_id, minute, events, gain, touched_at)"
            " VALUES ($1, $2, $3, 1, 9, $3)", board, NAME, now,
        )  # fmt: skip
    return life


FILLED = {
    # Each column that can hold the id, or words in which it stands, and what puts it there where a life does not.
    "archived_entries.user_id": "",
    "archived_entries.metadata": "UPDATE archived_entries SET metadata = $2 WHERE user_id = $1",
    "audit_log.actor": "INSERT INTO audit_log (recorded_at, actor, address, action, target) VALUES (now(), "
    "'player:' || $1, $2, 'player.end_sessions', $1)",
    "audit_log.address": "",
    "audit_log.after": "",
    "audit_log.before": "INSERT INTO audit_log (recorded_at, actor, action, target, before) SELECT now(), 'system', "
    "'leaderboard.remove_user', 'global', jsonb_build_object('user_id', $1::text) WHERE $2::text <> ''",
    "audit_log.target": "",
    "bucket_members.user_id": "INSERT INTO bucket_members (ranking_id, user_id, bucket) SELECT max(ranking_id), $1, 1 "
    "FROM rankings HAVING $2 <> ''",
    "dead_letters.body": "",
    "dead_letters.message": "UPDATE dead_letters SET message = $1 || $2",
    "dead_letters.user_id": "",
    "entries.user_id": "",
    "entries.metadata": "UPDATE entries SET metadata = $2 WHERE user_id = $1",
    "events.payload": "UPDATE events SET payload = $2::jsonb WHERE user_id = $1",
    "events.user_id": "",
    "first_events.payload": "UPDATE first_events SET payload = $2::jsonb WHERE user_id = $1",
    "first_events.user_id": "",
    "participants.user_id": "",
    "plausibility_minutes.user_id": "",
    "player_devices.user_id": "",
    "player_revocations.user_id": "",
    "players.ban_reason": "UPDATE players SET ban_reason = $2 WHERE user_id = $1",
    "players.country": "UPDATE players SET country = $2 WHERE user_id = $1",
    "players.display_name": "UPDATE players SET display_name = $2 WHERE user_id = $1",
    "players.metadata": "UPDATE players SET metadata = $2::jsonb WHERE user_id = $1",
    "players.user_id": "",
    "prize_steps.actor": "UPDATE prize_steps SET actor = 'player:' || $1, reason = $2 WHERE prize_id IN "
    "(SELECT prize_id FROM prizes WHERE user_id = $1)",
    "prize_steps.reason": "",
    "prizes.claim_key": "UPDATE prizes SET claim_key = $2 WHERE user_id = $1",
    "prizes.user_id": "",
    "quarantine.user_id": "",
    "removals.user_id": "INSERT INTO removals (leaderboard_id, user_id, removed_at) SELECT max(leaderboard_id), $1, "
    "now() FROM leaderboards HAVING $2 <> ''",
    "reports.outcome": "INSERT INTO reports (digest, kind, question, asked_at, outcome) SELECT "
    "sha256(convert_to($1::text, 'UTF8')), 'retention', '', now(), convert_to($2::text, 'UTF8')",
    "rollup_queue.user_ids": "",
    "rollup_users.user_id": "",
    "standings.user_id": "",
    "webhook_events.payload": "",
}

NEVER = {
    # Names and rules that people give to things of the game, and their words about them.
    "api_keys.created_by", "api_keys.key_id", "api_keys.kind", "api_keys.name", "api_keys.scopes",
    "archive_files.event_type", "dead_letters.event_type", "events.event_type", "first_events.event_type",
    "leaderboards.definition", "leaderboards.key", "leaderboards.pending_definition", "leaderboards.resets",
    "leaderboards.windows", "occurrences.definition", "occurrences.tournament_id", "participants.tournament_id",
    "prizes.kind", "prizes.metadata", "prizes.tournament_id", "quarantine.event_type", "rankings.definition",
    "rankings.part", "reports.question", "rollup_queue.event_types", "rollup_users.event_type", "rollups.event_type",
    "standings.tournament_id", "tournaments.definition", "tournaments.tournament_id", "webhook_endpoints.description",
    "webhook_endpoints.event_types", "webhook_endpoints.url", "webhook_events.type",
    # Operators, who are no players.
    "operator_sessions.address", "operator_sessions.name", "operators.created_by", "operators.name", "operators.role",
    # Hashes, secrets and numbers as bytes.
    "api_keys.key_hash", "api_keys.signing_key", "archive_files.sha256", "archived_entries.tie_key",
    "deployment_secrets.value", "entries.tie_key", "erasures.user_hash", "operator_sessions.session_hash",
    "operators.password_hash", "operators.totp_secret", "player_devices.device_hash", "reports.digest",
    "webhook_endpoints.secret",
    # Words and names of the server itself.
    "archive_files.name", "archive_files_to_delete.name", "archive_tokens.database", "audit_log.action",
    "dead_letters.error", "dead_letters.form", "dead_letters.event_id", "dead_letters.priority",
    "dead_letters.source", "dead_letters.status", "deployment_secrets.name",
    "erasures.pseudonym", "event_archives.partition", "event_archives.state",
    "leases.holder", "leases.name", "leases.streams_holder",
    "occurrences.status", "prize_steps.status", "prizes.status", "quarantine.reason",
    "quarantine.status", "quarantine.unranked_reason", "rankings.state", "reports.kind", "rollup_queue.event_ids",
    "rollup_queue.occurred_at", "rollup_days.kind", "rollups.grain", "schema_version.version_num",
    "schema_version.works_from",
    "event_streams.incarnation", "stream_losses.reason", "stream_mark.incarnation", "webhook_deliveries.last_error",
    "webhook_deliveries.status",
}  # fmt: skip
"""Columns in which no player's id stands, whatever a player is called."""

ELSEWHERE = {
    "archived_users.user_id",  # `tests/archive/test_privacy.py`, with the files
    "erasures.user_id",  # while it is under way
}


async def fill(life: Life) -> None:
    """Put the id into every column that can hold it."""
    await life.cups.send(event(NAME, 1, at=life.cups.time.now))
    for statement in FILLED.values():
        if statement:
            await life.core.database.pool.execute(statement, NAME, json.dumps({"said": NAME}, ensure_ascii=False))


async def columns_with_text(core: Core) -> set[str]:
    """Every column of the schema in which words can stand."""
    rows = await core.database.pool.fetch(
        "SELECT c.relname, a.attname FROM pg_attribute AS a JOIN pg_class AS c ON a.attrelid = c.oid "
        "JOIN pg_namespace AS n ON c.relnamespace = n.oid JOIN pg_type AS t ON a.atttypid = t.oid "
        "WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 "
        "AND NOT a.attisdropped AND (t.typcategory IN ('S', 'A', 'C') OR t.typname IN ('json', 'jsonb', 'bytea'))",
        SCHEMA,
    )
    return {f"{table}.{column}" for table, column in rows}


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


async def samples_in_postgres(core: Core) -> set[str]:
    """The columns of which PostgreSQL keeps samples that hold the id, for its plans."""
    rows = await core.database.pool.fetch(
        "SELECT tablename, attname, s::text FROM pg_stats AS s WHERE schemaname = $1", SCHEMA
    )
    return {f"{table}.{column}" for table, column, samples in rows if holds(samples)}


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

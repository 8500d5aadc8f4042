"""The audit log in the hands of another role, as docs/operating/databases.md sets it up: the server lives on."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import psycopg
import pytest

from grandstand.operations.audit import record
from grandstand.storage.migrate import migrate
from tests.archive.year import Archive, live_through
from tests.support.core import event, open_core
from tests.support.engines import SCHEMA

pytestmark = pytest.mark.anyio
DOCUMENT = Path(__file__).parents[2] / "docs/operating/databases.md"
NOT_THE_APPS = (
    "DELETE FROM audit_log",
    "TRUNCATE audit_log",
    "UPDATE audit_log SET action = 'key.create'",
    "UPDATE audit_log SET recorded_at = now()",
    "DROP TABLE audit_log",
    "DROP SCHEMA grandstand CASCADE",
    "ALTER TABLE audit_log DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_log_is_append_only ON audit_log",
    "DROP FUNCTION audit_entry_without",
    "CREATE OR REPLACE FUNCTION audit_entry_without(entry audit_log, user_id text, pseudonym text) RETURNS audit_log"
    " LANGUAGE sql AS 'SELECT entry'",
    "CREATE TRIGGER mine BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE mine AS ON INSERT TO audit_log DO INSTEAD NOTHING",
    "SET session_replication_role = replica",
)


def url_of(role: str, database_url: str) -> str:
    scheme, _, rest = database_url.partition("://")
    return f"{scheme}://{role}@{rest.partition('@')[2]}"


@pytest.fixture
def urls(empty_database_url: str) -> Iterator[tuple[str, str]]:
    """URLs of the owner and of the server, set up as the document says, migrations included."""
    roles = {name: f"{name}_{uuid4().hex[:8]}" for name in ("owner", "app")}
    section = DOCUMENT.read_text().partition("## An owner of its own for the audit log")[2]
    before, after = (
        re.sub(r"\b(owner|app)\b", lambda found: roles[found[0]], block)
        for block in re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    )
    owner, app = (url_of(role, empty_database_url) for role in roles.values())
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        for role in roles.values():
            connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        connection.execute(before.encode())
        migrate(owner, SCHEMA)
        with psycopg.connect(owner, autocommit=True) as own:
            own.execute(after.encode())
        yield owner, app
        for role in roles.values():
            connection.execute(f"DROP OWNED BY {role} CASCADE".encode())
        for role in roles.values():
            connection.execute(f"DROP ROLE {role}".encode())


async def test_the_server_lives_on_it_and_cannot_rewrite_it(
    urls: tuple[str, str], valkey_url: str, valkey_prefix: str, tmp_path: Path
) -> None:
    owner, app = urls
    migrate(app, SCHEMA)  # Every start looks whether there is something to do.
    async with open_core(app, valkey_url, valkey_prefix) as core:
        await core.definer.ensure_global()
        await core.refresh()
        archive = Archive(core, str(tmp_path))
        accepted = await live_through(core, 60, months=(1, 2, 11))
        assert await archive.run() == 2, "partitions are made, detached and dropped"
        await archive.check(accepted)
        async with core.database.transaction() as connection:
            await record(connection, "player.ban", "ann", after={"reason": "x"})
            await record(connection, "key.create", "ann", after={"name": "x"})
        await core.apply(event("ann", 3))
        await core.new_eraser().erase("ann")
        assert await core.new_erasure_finisher().finish() == 1
        for statement in NOT_THE_APPS:
            async with core.database.transaction() as connection:
                with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.RaiseError)):
                    await connection.execute(statement)
        entries = await core.database.pool.fetch("SELECT action, target FROM audit_log WHERE before IS NULL ORDER BY 1")
        targets = dict(map(tuple, entries))
        assert targets["player.ban"].startswith("erased-")
        assert targets["key.create"] == "ann", "a key of that name is not the player"
    migrate(owner, SCHEMA)

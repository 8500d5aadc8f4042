"""Operators and their sessions in PostgreSQL: hashes only. Every method runs on the caller's connection."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from grandstand.domain.operators import Operator, OperatorRole
from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class OperatorRow(NamedTuple):
    """An operator as it is kept."""

    name: str
    role: OperatorRole
    password_hash: str
    totp_secret: str | None
    totp_step: int
    created_at: datetime
    created_by: str
    disabled_at: datetime | None


class ListedOperator(NamedTuple):
    """An operator as listed; `sessions` counts those that have not ended."""

    name: str
    role: OperatorRole
    has_totp: bool
    created_at: datetime
    created_by: str
    disabled_at: datetime | None
    seen_at: datetime | None
    sessions: int


class SessionRow(NamedTuple):
    """A session as it is kept."""

    session_hash: bytes
    created_at: datetime
    expires_at: datetime
    seen_at: datetime
    address: str | None


class OperatorStore:
    """Keeps operators and sessions."""

    async def add(
        self,
        connection: "Connection[Any]",
        name: str,
        role: OperatorRole,
        password_hash: str,
        created_at: datetime,
        created_by: str,
    ) -> bool:
        """Add an operator; return whether the name was free."""
        arguments = (name, role, password_hash, created_at, created_by)
        return await connection.fetchval(queries.load("operators/insert.sql"), *arguments) is not None

    async def find(self, connection: "Connection[Any]", name: str, *, lock: bool = False) -> OperatorRow | None:
        """Return an operator; with `lock` nobody else changes it until the transaction ends."""
        row = await connection.fetchrow(queries.load(f"operators/{'lock' if lock else 'find'}.sql"), name)
        return None if row is None else OperatorRow(*row)

    async def list(self, connection: "Connection[Any]", now: datetime, count_max: int) -> list[ListedOperator]:
        """Return operators in the order of their names."""
        return [
            ListedOperator(*row) for row in await connection.fetch(queries.load("operators/list.sql"), now, count_max)
        ]

    async def set_role(self, connection: "Connection[Any]", name: str, role: OperatorRole) -> None:
        """Give an operator another role."""
        await connection.execute(queries.load("operators/set_role.sql"), name, role)

    async def set_disabled(self, connection: "Connection[Any]", name: str, disabled_at: datetime | None) -> None:
        """Keep an operator out, or let it in again."""
        await connection.execute(queries.load("operators/set_disabled.sql"), name, disabled_at)

    async def set_password(self, connection: "Connection[Any]", name: str, password_hash: str) -> None:
        """Give an operator another password."""
        await connection.execute(queries.load("operators/set_password.sql"), name, password_hash)

    async def set_totp(self, connection: "Connection[Any]", name: str, secret: str | None, step: int = 0) -> None:
        """Ask an operator for codes of this secret from now on, later than of this time step; or for none."""
        await connection.execute(queries.load("operators/set_totp.sql"), name, secret, step)

    async def use_totp(self, connection: "Connection[Any]", name: str, step: int) -> bool:
        """Use up the code of a time step; return whether it was still good."""
        return await connection.fetchval(queries.load("operators/use_totp.sql"), name, step) is not None

    async def count_other_admins(self, connection: "Connection[Any]", name: str) -> int:
        """Count the admins that are not kept out, leaving one out."""
        count: int = await connection.fetchval(queries.load("operators/count_other_admins.sql"), name)
        return count

    async def add_session(
        self,
        connection: "Connection[Any]",
        session_hash: bytes,
        name: str,
        now: datetime,
        expires_at: datetime,
        address: str | None,
    ) -> None:
        """Begin a session."""
        arguments = (session_hash, name, now, expires_at, address)
        await connection.execute(queries.load("operators/insert_session.sql"), *arguments)

    async def find_sessions(
        self, connection: "Connection[Any]", hashes: Sequence[bytes], now: datetime, seen_after: datetime
    ) -> dict[bytes, tuple[Operator, datetime]]:
        """Return whose sessions they are and when they were last used, of those that are good still."""
        rows = await connection.fetch(queries.load("operators/find_sessions.sql"), hashes, now, seen_after)
        return {row["session_hash"]: (Operator(row["name"], row["role"]), row["seen_at"]) for row in rows}

    async def touch_session(self, connection: "Connection[Any]", session_hash: bytes, now: datetime) -> None:
        """Note that a session was used."""
        await connection.execute(queries.load("operators/touch_session.sql"), session_hash, now)

    async def end_session(self, connection: "Connection[Any]", session_hash: bytes) -> None:
        """End a session."""
        await connection.execute(queries.load("operators/end_session.sql"), session_hash)

    async def end_sessions(self, connection: "Connection[Any]", name: str) -> int:
        """End every session of an operator; return how many there were."""
        status: str = await connection.execute(queries.load("operators/end_sessions.sql"), name)
        return int(status.rpartition(" ")[2])

    async def end_other_sessions(self, connection: "Connection[Any]", name: str, session_hash: bytes) -> int:
        """End every session of an operator but one; return how many there were."""
        status: str = await connection.execute(queries.load("operators/end_other_sessions.sql"), name, session_hash)
        return int(status.rpartition(" ")[2])

    async def list_sessions(
        self, connection: "Connection[Any]", name: str, now: datetime, seen_after: datetime, count_max: int
    ) -> Sequence[SessionRow]:
        """Return the sessions of an operator that are good still, the newest first."""
        arguments = (name, now, seen_after, count_max)
        return [
            SessionRow(*row) for row in await connection.fetch(queries.load("operators/list_sessions.sql"), *arguments)
        ]

    async def prune_sessions(self, connection: "Connection[Any]", now: datetime) -> None:
        """Forget sessions that have ended by themselves."""
        await connection.execute(queries.load("operators/prune_sessions.sql"), now)

"""Operators: added, listed, disabled, given another password, role or second factor. Every change is written down."""

from datetime import datetime
from typing import Any

import msgspec

from grandstand import clock
from grandstand.domain.errors import ConflictError, FieldError, InvalidError, NotFoundError
from grandstand.domain.operators import OPERATOR_ROLES, OperatorRole, check_operator, check_password, is_operator_name
from grandstand.operations.audit import current_origin, record
from grandstand.operations.one_time_codes import step_of
from grandstand.operations.passwords import Passwords
from grandstand.storage.operators import OperatorRow, OperatorStore
from grandstand.storage.postgres import Connection, Database

LIST_MAX = 1_000


class OperatorView(msgspec.Struct, kw_only=True):
    """An operator as shown."""

    name: str
    role: OperatorRole
    has_totp: bool
    created_at: datetime
    created_by: str
    disabled_at: datetime | None
    last_seen_at: datetime | None
    sessions: int


class OperatorList(msgspec.Struct):
    """Operators in the order of their names; `LIST_MAX` at most."""

    operators: list[OperatorView]


class OperatorManager:
    """Manages the operators of a deployment. Raises `UnavailableError` when the database is out of reach.

    What it changes is in force with the next request of any console.
    """

    def __init__(self, database: Database, operators: OperatorStore, passwords: Passwords) -> None:
        self._database = database
        self._operators = operators
        self._passwords = passwords

    async def add(self, name: str, role: str, password: str) -> None:
        """Add an operator.

        Raises:
            InvalidError: a wrong name, role or password.
            ConflictError: `operator_exists`, also when that one is disabled.
        """
        errors = check_operator(name, role) + check_password(password)
        if errors:
            raise InvalidError(errors)
        password_hash = await self._passwords.hash(password)
        wanted = next(known for known in OPERATOR_ROLES if known == role)
        async with self._database.transaction() as connection:
            actor = current_origin().actor
            if not await self._operators.add(connection, name, wanted, password_hash, clock.now(), actor):
                raise ConflictError("operator_exists", f"There is an operator {name!r} already.")
            await record(connection, "operator.add", name, after={"role": role})

    async def list(self) -> OperatorList:
        """Return all operators, also those that are disabled."""
        async with self._database.connection() as connection:
            found = await self._operators.list(connection, clock.now(), LIST_MAX)
        return OperatorList(
            [
                OperatorView(
                    name=row.name,
                    role=row.role,
                    has_totp=row.has_totp,
                    created_at=row.created_at,
                    created_by=row.created_by,
                    disabled_at=row.disabled_at,
                    last_seen_at=row.seen_at,
                    sessions=row.sessions,
                )
                for row in found
            ]
        )

    async def disable(self, name: str) -> None:
        """Keep an operator out from now on; its sessions end. A second time is the same as once.

        Raises:
            NotFoundError: `operator_not_found`.
            ConflictError: `last_operator_admin`.
        """
        async with self._database.transaction() as connection:
            held = await self._lock(connection, name)
            if held.disabled_at is not None:
                return
            await self._keep_an_admin(connection, held)
            await self._operators.set_disabled(connection, name, clock.now())
            ended = await self._operators.end_sessions(connection, name)
            await record(connection, "operator.disable", name, after={"sessions_ended": ended})

    async def enable(self, name: str) -> None:
        """Let an operator in again.

        Raises:
            NotFoundError: `operator_not_found`.
        """
        async with self._database.transaction() as connection:
            held = await self._lock(connection, name)
            if held.disabled_at is None:
                return
            await self._operators.set_disabled(connection, name, None)
            await record(connection, "operator.enable", name)

    async def set_role(self, name: str, role: str) -> None:
        """Give an operator another role.

        Raises:
            InvalidError: there is no such role.
            NotFoundError: `operator_not_found`.
            ConflictError: `last_operator_admin`.
        """
        wanted = next((known for known in OPERATOR_ROLES if known == role), None)
        if wanted is None:
            raise InvalidError([FieldError("role", f"must be one of {', '.join(OPERATOR_ROLES)}")])
        async with self._database.transaction() as connection:
            held = await self._lock(connection, name)
            if held.role == wanted:
                return
            await self._keep_an_admin(connection, held)
            await self._operators.set_role(connection, name, wanted)
            await record(connection, "operator.role", name, before={"role": held.role}, after={"role": wanted})

    async def set_password(self, name: str, password: str) -> None:
        """Give an operator another password; its sessions end.

        Raises:
            InvalidError: it is too short or too long.
            NotFoundError: `operator_not_found`.
        """
        errors = check_password(password)
        if errors:
            raise InvalidError(errors)
        password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as connection:
            await self._lock(connection, name)
            await self._operators.set_password(connection, name, password_hash)
            ended = await self._operators.end_sessions(connection, name)
            await record(connection, "operator.password", name, after={"sessions_ended": ended})

    async def put_totp(self, name: str, secret: str, code: str) -> None:
        """Ask an operator for a code of this secret with every log-in from now on; `code` proves that it can be told.

        Raises:
            InvalidError: the code is wrong.
            NotFoundError: `operator_not_found`.
        """
        step = step_of(secret, code)
        if step is None:
            raise InvalidError([FieldError("code", "is wrong")])
        await self._set_totp(name, secret, step)

    async def drop_totp(self, name: str) -> None:
        """Ask an operator for no code any more.

        Raises:
            NotFoundError: `operator_not_found`.
        """
        await self._set_totp(name, None)

    async def end_sessions(self, name: str) -> int:
        """End every session of an operator; return how many there were.

        Raises:
            NotFoundError: `operator_not_found`.
        """
        async with self._database.transaction() as connection:
            await self._lock(connection, name)
            ended = await self._operators.end_sessions(connection, name)
            await record(connection, "operator.end_sessions", name, after={"sessions_ended": ended})
        return ended

    async def _set_totp(self, name: str, secret: str | None, step: int = 0) -> None:
        async with self._database.transaction() as connection:
            held = await self._lock(connection, name)
            await self._operators.set_totp(connection, name, secret, step)
            before, after = {"has_totp": held.totp_secret is not None}, {"has_totp": secret is not None}
            await record(connection, "operator.totp", name, before=before, after=after)

    async def _keep_an_admin(self, connection: "Connection[Any]", held: OperatorRow) -> None:
        if held.role != "admin" or held.disabled_at is not None:
            return
        if not await self._operators.count_other_admins(connection, held.name):
            raise ConflictError("last_operator_admin", "No other operator is an admin; add one first.")

    async def _lock(self, connection: "Connection[Any]", name: str) -> OperatorRow:
        held = await self._operators.find(connection, name, lock=True) if is_operator_name(name) else None
        if held is None:
            raise NotFoundError("operator_not_found", "No operator has this name.")
        return held

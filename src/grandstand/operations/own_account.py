"""What operators change of themselves: the password, the one-time code, and which of their sessions go on.

Whoever sits at somebody else's open session must not make it their own, so the password is asked for again before
anything changes, and callers count each attempt as they count log-ins. Ending sessions gives nothing away and asks
for nothing.
"""

from datetime import datetime
from typing import Any, NamedTuple

from grandstand import clock
from grandstand.domain.errors import FieldError, InvalidError, UnauthorizedError
from grandstand.domain.operators import check_password, hash_session, totp_secret
from grandstand.operations.audit import record
from grandstand.operations.first_keys import deployment_secret
from grandstand.operations.one_time_codes import address_of, is_code, step_of
from grandstand.operations.operator_sessions import IDLE_MAX
from grandstand.operations.passwords import Passwords
from grandstand.storage.operators import OperatorRow, OperatorStore
from grandstand.storage.postgres import Connection, Database

SESSIONS_MAX = 50
_WRONG_PASSWORD = FieldError("current_password", "is not your password")
_WRONG_CODE = FieldError("code", "is wrong, or was used before; wait for the next one")


class OwnSession(NamedTuple):
    """A session of an operator that has not ended."""

    began_at: datetime
    seen_at: datetime
    ends_at: datetime
    address: str | None
    is_this: bool


class Account(NamedTuple):
    """What operators are shown of themselves; of the sessions the `SESSIONS_MAX` that began last."""

    has_totp: bool
    sessions: list[OwnSession]


class TotpSetUp(NamedTuple):
    """A one-time code that is about to be set up: the secret, and the address that makes its QR code."""

    secret: str
    uri: str


class OwnAccount:
    """Changes an operator's own account. Raises `UnavailableError` when the database is out of reach.

    A secret is in force only once a code of it was typed. Until then it is kept nowhere: it follows from the session
    and from a mark that the form holds (`domain.operators.totp_secret`).
    """

    def __init__(self, database: Database, operators: OperatorStore, passwords: Passwords) -> None:
        self._database = database
        self._operators = operators
        self._passwords = passwords

    async def get(self, name: str, session: str) -> Account:
        """Return the account of an operator, seen from one of the operator's sessions."""
        now = clock.now()
        async with self._database.connection() as connection:
            held = await self._operators.find(connection, name)
            this = hash_session(session, await deployment_secret(connection))
            rows = await self._operators.list_sessions(connection, name, now, now - IDLE_MAX, SESSIONS_MAX)
        sessions = [
            OwnSession(row.created_at, row.seen_at, row.expires_at, row.address, row.session_hash == this)
            for row in rows
        ]
        return Account(held is not None and held.totp_secret is not None, sessions)

    async def change_password(self, name: str, session: str, current: str, new: str) -> None:
        """Give oneself another password; the operator's other sessions end.

        Raises:
            InvalidError: the current password is wrong, or the new one too short or too long.
            UnauthorizedError: the operator was disabled, or given another password, meanwhile.
        """
        errors = check_password(new)
        if errors:
            raise InvalidError(errors)
        known = await self._prove(name, current)
        password_hash = await self._passwords.hash(new)
        async with self._database.transaction() as connection:
            await self._lock(connection, known)
            await self._operators.set_password(connection, name, password_hash)
            ended = await self._end_others(connection, name, session)
            await record(connection, "operator.password", name, after={"sessions_ended": ended})

    async def show_totp(self, name: str, session: str, mark: str) -> TotpSetUp:
        """Return the secret of a set-up that a session has begun."""
        async with self._database.connection() as connection:
            secret = totp_secret(session, mark, await deployment_secret(connection))
        return TotpSetUp(secret, address_of(secret, name))

    async def turn_totp_on(self, name: str, session: str, mark: str, current: str, code: str) -> None:
        """Ask for a code with every log-in from now on. The code that proves the set-up is used up by that.

        Raises:
            InvalidError: the password or the code is wrong, or codes are asked for already.
            UnauthorizedError: the operator was disabled, or given another password, meanwhile.
        """
        known = await self._prove(name, current)
        async with self._database.transaction() as connection:
            held = await self._lock(connection, known)
            if held.totp_secret is not None:
                raise InvalidError([FieldError("code", "is asked for already; turn it off first to set up another")])
            secret = totp_secret(session, mark, await deployment_secret(connection))
            step = step_of(secret, code) if is_code(code) else None
            if step is None:
                raise InvalidError([_WRONG_CODE])
            await self._operators.set_totp(connection, name, secret, step)
            await record(connection, "operator.totp", name, before={"has_totp": False}, after={"has_totp": True})

    async def turn_totp_off(self, name: str, current: str, code: str) -> None:
        """Ask for no code any more.

        Raises:
            InvalidError: the password or the code is wrong, or no code is asked for.
            UnauthorizedError: the operator was disabled, or given another password, meanwhile.
        """
        known = await self._prove(name, current)
        async with self._database.transaction() as connection:
            held = await self._lock(connection, known)
            if held.totp_secret is None:
                raise InvalidError([FieldError("code", "is not asked for")])
            step = step_of(held.totp_secret, code) if is_code(code) else None
            if step is None or not await self._operators.use_totp(connection, name, step):
                raise InvalidError([_WRONG_CODE])
            await self._operators.set_totp(connection, name, None)
            await record(connection, "operator.totp", name, before={"has_totp": True}, after={"has_totp": False})

    async def end_other_sessions(self, name: str, session: str) -> None:
        """End every session of an operator but this one."""
        async with self._database.transaction() as connection:
            ended = await self._end_others(connection, name, session)
            await record(connection, "operator.end_sessions", name, after={"sessions_ended": ended})

    async def _prove(self, name: str, password: str) -> OperatorRow:
        """Return the operator whose password this is. No connection is held while it is checked."""
        async with self._database.connection() as connection:
            held = await self._operators.find(connection, name)
        is_right = await self._passwords.is_of(password, None if held is None else held.password_hash)
        if held is None or not is_right:
            raise InvalidError([_WRONG_PASSWORD])
        return held

    async def _lock(self, connection: "Connection[Any]", known: OperatorRow) -> OperatorRow:
        """Return the operator's row, locked; what was proven must still be so."""
        held = await self._operators.find(connection, known.name, lock=True)
        if held is None or held.disabled_at is not None or held.password_hash != known.password_hash:
            raise UnauthorizedError("This account was changed by somebody else meanwhile; log in again.")
        return held

    async def _end_others(self, connection: "Connection[Any]", name: str, session: str) -> int:
        this = hash_session(session, await deployment_secret(connection))
        return await self._operators.end_other_sessions(connection, name, this)

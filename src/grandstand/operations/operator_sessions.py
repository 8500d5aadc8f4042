"""Operators log in and out; tells whose session a request belongs to.

A session is looked up with every request, so what an admin ends has ended. A name that nobody has takes as long to
refuse as a wrong password, and both are refused with the same words.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, NamedTuple

from grandstand import clock
from grandstand.domain.errors import UnauthorizedError
from grandstand.domain.operators import Operator, form_token, hash_session, is_operator_name, new_session
from grandstand.operations.audit import Origin, acting_as, record
from grandstand.operations.first_keys import deployment_secret
from grandstand.operations.one_time_codes import step_of
from grandstand.operations.passwords import Passwords
from grandstand.storage.operators import OperatorRow, OperatorStore
from grandstand.storage.postgres import Connection, Database

SESSION_MAX = timedelta(hours=12)
IDLE_MAX = timedelta(hours=2)
_TOUCH_AFTER = timedelta(minutes=1)
_REFUSAL = "The name, the password or the code is wrong."


class OperatorSession(NamedTuple):
    """A good session: whose it is, and the token that its forms must hold."""

    operator: Operator
    form_token: str


class OperatorSessions:
    """Sessions for one process. Raises `UnavailableError` when the database is out of reach."""

    def __init__(self, database: Database, operators: OperatorStore, passwords: Passwords) -> None:
        self._database = database
        self._operators = operators
        self._passwords = passwords
        self._known_secret = b""

    async def log_in(self, name: str, password: str, code: str, address: str | None) -> str:
        """Begin a session; return what its cookie holds.

        Raises:
            UnauthorizedError: the name, the password or the code is wrong, or the operator is disabled.
        """
        async with self._database.connection() as connection:
            secret = await self._secret(connection)
            held = await self._operators.find(connection, name) if is_operator_name(name) else None
        # No connection is held while the password is checked: that takes its time.
        is_right = await self._passwords.is_of(password, None if held is None else held.password_hash)
        if held is None or not is_right:
            raise UnauthorizedError(_REFUSAL)
        session, now = new_session(), clock.now()
        async with self._database.transaction() as connection:
            proven, held = held.password_hash, await self._operators.find(connection, name, lock=True)
            # Another password ends all sessions: none may begin with the one of before.
            if held is None or held.disabled_at is not None or held.password_hash != proven:
                raise UnauthorizedError(_REFUSAL)
            if not await self._is_code_right(connection, held, code):
                raise UnauthorizedError(_REFUSAL)
            await self._operators.prune_sessions(connection, now)
            hashed = hash_session(session, secret)
            await self._operators.add_session(connection, hashed, name, now, now + SESSION_MAX, address)
            with acting_as(Origin("operator", name, address)):
                await record(connection, "operator.log_in", name)
        return session

    async def find(self, session: str) -> OperatorSession | None:
        """Return the session of a cookie; None when there is none, or it has ended."""
        now = clock.now()
        async with self._database.connection() as connection:
            secret = await self._secret(connection)
            hashed = hash_session(session, secret)
            found = await self._operators.find_sessions(connection, [hashed], now, now - IDLE_MAX)
            if hashed not in found:
                return None
            operator, seen_at = found[hashed]
            if now - seen_at > _TOUCH_AFTER:
                await self._operators.touch_session(connection, hashed, now)
        return OperatorSession(operator, form_token(session, secret))

    async def find_all(self, sessions: Collection[str]) -> dict[str, Operator]:
        """Return whose the sessions of these cookies are, without those that have ended; none counts as used by it."""
        now = clock.now()
        async with self._database.connection() as connection:
            secret = await self._secret(connection)
            hashes = {hash_session(session, secret): session for session in sessions}
            found = await self._operators.find_sessions(connection, list(hashes), now, now - IDLE_MAX)
        return {hashes[hashed]: operator for hashed, (operator, _) in found.items()}

    async def log_out(self, session: str, name: str) -> None:
        """End a session."""
        async with self._database.transaction() as connection:
            await self._operators.end_session(connection, hash_session(session, await self._secret(connection)))
            await record(connection, "operator.log_out", name)

    async def _is_code_right(self, connection: "Connection[Any]", held: OperatorRow, code: str) -> bool:
        if held.totp_secret is None:
            return True
        step = step_of(held.totp_secret, code)
        return step is not None and await self._operators.use_totp(connection, held.name, step)

    async def _secret(self, connection: "Connection[Any]") -> bytes:
        if not self._known_secret:
            self._known_secret = await deployment_secret(connection)
        return self._known_secret

"""Hashes and checks passwords of operators with argon2id, beside the event loop and few at a time.

Each costs 64 MiB of memory and tens of milliseconds on purpose, so only some run at once and the others wait.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from grandstand.domain.errors import UnavailableError

_AT_ONCE = 2
_WAIT_SECONDS = 10.0

T = TypeVar("T")


class Passwords:
    """Hashes and checks for one process."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Hash with the library's own parameters unless other ones are given."""
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._nobodys = ""

    async def hash(self, password: str) -> str:
        """Return what is kept of a password."""
        return await self._run(self._hasher.hash, password)

    async def is_of(self, password: str, password_hash: str | None) -> bool:
        """Tell whether a password has this hash. Without one it is wrong, and that takes just as long to find out."""
        if not self._nobodys:
            self._nobodys = await self._run(self._hasher.hash, "nobody has this password")
        is_right = await self._run(self._verify, password_hash or self._nobodys, password)
        return is_right and password_hash is not None

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, function: Callable[..., T], *arguments: str) -> T:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise UnavailableError("Too many are logging in right now; try again.") from None
        try:
            return await asyncio.to_thread(function, *arguments)
        finally:
            self._turns.release()

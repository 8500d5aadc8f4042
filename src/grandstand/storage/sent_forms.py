"""Which forms have been sent already: the mark that each was shown with, kept in Valkey for an hour."""

from hashlib import blake2b

from valkey.asyncio import Valkey

_KEPT_SECONDS = 3600
"""Longer than anybody sends one form twice by mistake."""


class SentForms:
    """The marks of one deployment. Every method may raise `valkey.exceptions.ValkeyError`."""

    def __init__(self, client: Valkey, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def take(self, session: str, mark: str) -> bool:
        """Use a mark up; False when it was used before."""
        return bool(await self._client.set(self._name(session, mark), b"", nx=True, ex=_KEPT_SECONDS))

    async def give_back(self, session: str, mark: str) -> None:
        """Let a form whose sending came to nothing be sent again."""
        await self._client.delete(self._name(session, mark))

    def _name(self, session: str, mark: str) -> str:
        return f"{self._prefix}:form:{blake2b(f'{session} {mark}'.encode(), digest_size=16).hexdigest()}"

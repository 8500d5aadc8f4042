"""Lets an archive's place be written to by the database that it belongs to, and by no other.

```
   read the marker ──► its token is known ──► a new token is written down ──► the marker has it ──► seen
                  └──► it is not: refused     (killed here: the old one counts)   (killed here: the new one does)
```

A round does so once, before it changes anything, in the place or in the ledger: what was not mounted has lost nothing
then, and a copy of a database deletes nothing that the original needs. Reading needs no ownership.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

from grandstand.storage.archive_places import ArchivePlace, SmallFile
from grandstand.storage.archive_tokens import (
    MARKER,
    ArchiveTokens,
    Sight,
    check_owned,
    check_there,
    marker_of,
    token_in,
)
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.postgres import Database

NOT_OWNED_EXIT_CODE = 5
"""What a round of archiving ends with that was refused its place."""

Step = Callable[[str], Awaitable[None]]
"""Told what was just done, for tests that end the process there."""


async def no_step(_: str) -> None:
    """Go on."""


class OwnedPlace:
    """The place of one database's archive, for one round. `files` reads, whoever owns it."""

    def __init__(
        self, database: Database, files: ArchivePlace, *, fence: Fence = no_fence, on_step: Step = no_step
    ) -> None:
        self.files = files
        self._database = database
        self._tokens = ArchiveTokens()
        self._fence = fence
        self._on_step = on_step
        self._is_claimed = False

    async def claim(self) -> None:
        """See that the place is this database's, once; it is by a new token afterwards.

        Raises:
            ArchiveNotOwnedError: it is not, or the place is not the one that it was.
            UnavailableError: PostgreSQL is out of reach, or the extra is missing.
            OSError: the place is out of reach.
        """
        if self._is_claimed:
            return
        marker, sight = await self._look()
        await asyncio.to_thread(check_owned, self.files, marker, sight)
        await self._renew(marker, sight)
        self._is_claimed = True

    async def adopt(self, *, without_files: bool = False) -> None:
        """Make the place this database's, whoever's it was; the other is refused from then on.

        Raises:
            ArchiveNotOwnedError: the archived files are not there, and it is not to be done without them.
            UnavailableError, OSError: as for `claim`.
        """
        marker, sight = await self._look()
        if not without_files:
            await asyncio.to_thread(check_there, self.files, sight._replace(may_have_files=False))
        await self._renew(marker, sight)

    async def put(self, name: str, source: Path) -> None:
        """Keep a copy of a file; raises what `claim` does."""
        await self.claim()
        await asyncio.to_thread(self.files.put, name, source)

    async def delete(self, name: str) -> None:
        """Delete a file, if it is there; raises what `claim` does."""
        await self.claim()
        await asyncio.to_thread(self.files.delete, name)

    async def _look(self) -> tuple[SmallFile | None, Sight]:
        marker = await asyncio.to_thread(self.files.read, MARKER)
        async with self._database.connection() as connection:
            return marker, await self._tokens.look(connection, token_in(marker))

    async def _renew(self, marker: SmallFile | None, sight: Sight) -> None:
        token: UUID = uuid4()
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._tokens.issue(connection, token, token_in(marker), sight.database)
        await self._on_step("token issued")
        await asyncio.to_thread(self.files.replace, MARKER, marker_of(token), marker)
        await self._on_step("marker written")
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._tokens.mark_seen(connection, token)

"""Keeps a process's catalog of boards current: at once when told of a change, and by itself every few seconds."""

import asyncio
import contextlib

import structlog

from grandstand.domain.errors import UnavailableError
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.storage.postgres import Database

_POLL_SECONDS = 2.0
_log = structlog.get_logger(__name__)


class CatalogFollower:
    """Refreshes one catalog."""

    def __init__(self, database: Database, catalog: LeaderboardCatalog) -> None:
        self._database = database
        self._catalog = catalog
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Say that definitions have changed."""
        self._wake.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.refresh()
            except UnavailableError as error:
                _log.warning("catalog_not_refreshed", error=error.detail)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _POLL_SECONDS)

    async def refresh(self) -> None:
        """Bring the catalog up to date now.

        Raises:
            UnavailableError: the database is out of reach.

        """
        async with self._database.connection() as connection:
            await self._catalog.refresh(connection)

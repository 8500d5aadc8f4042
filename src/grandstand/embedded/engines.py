"""Both engines of a data folder, or one of them where the other is given by URL."""

import asyncio

from grandstand.embedded.data_folder import DataFolder
from grandstand.embedded.engine import Engine
from grandstand.embedded.postgres import Postgres
from grandstand.embedded.valkey import Valkey


class Engines:
    """The embedded engines of one data folder, started together and ended in order."""

    def __init__(
        self,
        folder: DataFolder,
        *,
        with_postgres: bool = True,
        with_valkey: bool = True,
        valkey_memory_max_bytes: int = 0,
        postgres_connections_max: int = 300,
    ) -> None:
        self.postgres = Postgres(folder, postgres_connections_max) if with_postgres else None
        self.valkey = Valkey(folder, valkey_memory_max_bytes) if with_valkey else None

    @property
    def all(self) -> list[Engine]:
        """Those that run here, in the order of ending: Valkey first, as its clients' work ends in PostgreSQL."""
        return [engine for engine in (self.valkey, self.postgres) if engine is not None]

    async def start(self) -> None:
        """Start them side by side and wait until they take connections.

        Raises:
            EngineStartError: one does not start; none is left running then.

        """
        results = await asyncio.gather(*(engine.start() for engine in self.all), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await self.stop()
            raise failures[0]

    async def stop(self) -> None:
        """End them."""
        for engine in self.all:
            await engine.stop()

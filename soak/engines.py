"""Engines that the harness runs itself, reached by the tree only through proxies."""

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from grandstand.embedded.data_folder import open_data_folder
from grandstand.embedded.engines import Engines
from grandstand.supervisor.keeping import keep_engine
from soak.proxy import Proxy, to_socket


class ProxiedEngines:
    """PostgreSQL and Valkey in a folder, kept running as the supervisor would, each behind a proxy.

    The URLs lead past the proxies.
    """

    postgres_url: str
    valkey_url: str
    postgres: Proxy
    valkey: Proxy

    def __init__(self, folder: Path, *, with_valkey: bool = True) -> None:
        self._path = folder
        self._with_valkey = with_valkey
        self._stack = contextlib.AsyncExitStack()
        self._keepers: list[asyncio.Task[None]] = []
        self._engines: Engines | None = None

    async def start(self) -> None:
        """Start both and their proxies."""
        folder = self._stack.enter_context(open_data_folder(self._path))
        self._engines = Engines(folder, with_valkey=self._with_valkey)
        await self._engines.start()
        assert self._engines.postgres is not None
        self.postgres_url = self._engines.postgres.url
        if self._engines.valkey is not None:
            self.valkey_url = self._engines.valkey.url
        parts = urlsplit(self.postgres_url)
        query = parse_qs(parts.query)
        socket = Path(query["host"][0]) / f".s.PGSQL.{query.get('port', ['5432'])[0]}"
        self.postgres = Proxy(to_socket(socket))
        self.valkey = Proxy(to_socket(folder.socket_folder() / "valkey.sock"))
        await self.postgres.start()
        await self.valkey.start()
        self._user = query.get("user", [parts.username or "grandstand"])[0]
        self._database = parts.path.lstrip("/")
        self._keepers = [asyncio.create_task(keep_engine(engine)) for engine in self._engines.all]

    def environment(self) -> dict[str, str]:
        """Return the settings that lead a tree through the proxies."""
        return {
            "GRANDSTAND_DATABASE_URL": f"postgresql://{self._user}@127.0.0.1:{self.postgres.port}/{self._database}"
            "?sslmode=disable",
            "GRANDSTAND_VALKEY_URL": f"valkey://127.0.0.1:{self.valkey.port}/0",
        }

    async def stop(self) -> None:
        """End everything."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        if self._engines is not None:
            for proxy in (self.postgres, self.valkey):
                await proxy.stop()
            await self._engines.stop()
        await self._stack.aclose()

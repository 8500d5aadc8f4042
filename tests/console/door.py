"""The console in the test's own process: quicker than a tree, for what needs no browser."""

import re
from itertools import count

import httpx
from argon2 import PasswordHasher

from grandstand.console.app import ConsoleApp
from grandstand.console.services import ConsoleServices
from tests.api.conftest import Site

PASSWORD = "correct horse battery"

CHEAP = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
"""What a password costs is not what these tests are about."""


class Door:
    """The console in this process, and the sessions that tests share."""

    def __init__(self, app: ConsoleApp, services: ConsoleServices, site: Site) -> None:
        self.console = services
        self.site = site
        self.operators = services.operators
        self._transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        self._cookies: dict[str, str] = {}
        self._addresses = count(1)

    def client(self, cookie: str | None = None, address: str = "") -> httpx.AsyncClient:
        headers = {"X-Forwarded-For": address or f"10.0.0.{next(self._addresses)}"}
        if cookie is not None:
            headers["Cookie"] = f"gs_console={cookie}"
        return httpx.AsyncClient(transport=self._transport, base_url="http://grandstand", headers=headers)

    async def enter(self, name: str | None) -> httpx.AsyncClient:
        """A client with the session of an operator; the session is begun once."""
        if name is not None and name not in self._cookies:
            answer = await self.log_in(name)
            assert answer.status_code == 303, answer.text
            self._cookies[name] = answer.cookies["gs_console"]
        return self.client(None if name is None else self._cookies[name])

    async def log_in(self, name: str, password: str = PASSWORD, code: str = "", address: str = "") -> httpx.Response:
        """Send the form of the log-in, from an address that nobody else has or from a given one."""
        async with self.client(address=address) as client:
            return await client.post("/console/log-in", data={"name": name, "password": password, "code": code})

    async def put_player(self, user_id: str) -> None:
        await self.console.api.players.put(user_id, b'{"display_name": "Somebody"}', by_player=False)


async def token_of(client: httpx.AsyncClient) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', (await client.get("/console")).text)
    assert found is not None
    return found[1]

"""A running tree with an operator of each role, and a real browser that watches where its pages reach."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from grandstand import bootstrap
from grandstand.bootstrap.console_services import build_console_services
from grandstand.cli.engines import with_engines
from grandstand.console.app import ConsoleApp
from grandstand.operations.manage_operators import OperatorManager
from grandstand.operations.passwords import Passwords
from grandstand.settings import load_settings
from tests.api.conftest import open_deployment
from tests.console.door import CHEAP, PASSWORD, Door
from tests.support.engines import RunningEngines
from tests.support.server import Server, end, start_up

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from programs import program

T = TypeVar("T")
ROLES = {"vera": "viewer", "liv": "live-ops", "ann": "admin"}
"""A name that an operator of each role has."""


def run(action: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a thread of its own: the browser's library has an event loop in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(action())).result()


@dataclass
class Console:
    """A server with its operators, and the sessions that tests share."""

    server: Server
    cookies: dict[str, str] = field(default_factory=dict)
    addresses: Iterator[int] = field(default_factory=lambda: iter(range(1, 250)))

    @property
    def url(self) -> str:
        return self.server.url

    def manage(self, action: Any) -> Any:
        """Do something to the operators, as `grandstand operators` does."""
        settings = with_engines(load_settings(), self.server.data_dir)
        return run(lambda: bootstrap.with_operators(settings, action))

    @contextmanager
    def client(self, name: str | None) -> Iterator[httpx.Client]:
        """A client with the session of an operator; the session is begun once."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            if name is not None:
                if name not in self.cookies:
                    answer = self.log_in(name)
                    assert answer.status_code == 303, answer.text
                    self.cookies[name] = answer.cookies["gs_console"]
                client.headers["Cookie"] = f"gs_console={self.cookies[name]}"
            yield client

    def log_in(self, name: str, password: str = PASSWORD, code: str = "", address: str = "") -> httpx.Response:
        """Send the form of the log-in, from an address that nobody else has or from a given one."""
        form = {"name": name, "password": password, "code": code}
        headers = {"X-Forwarded-For": address or f"10.0.0.{next(self.addresses)}"}
        return httpx.post(f"{self.url}/console/log-in", data=form, headers=headers, timeout=30)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the API with the admin key."""
        headers = {"Authorization": f"Bearer {self.server.keys.admin}"}
        answer = httpx.request(method, self.url + path, json=body, headers=headers, timeout=30)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None


@dataclass
class Watched:
    """A browser whose pages are watched: where they reach, and what they complain about."""

    context: BrowserContext
    origin: str
    reached: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def note(self, request: Request) -> None:
        self.reached.add(request.url)

    def _hear(self, message: ConsoleMessage) -> None:
        # A form that is refused answers 4xx on purpose, and the browser says so.
        if message.type == "error" and "the server responded with a status of" not in message.text:
            self.complaints.append(message.text)

    def check(self) -> None:
        assert [url for url in self.reached if not url.startswith(self.origin + "/")] == []
        assert self.complaints == []


async def _add_all(operators: OperatorManager) -> None:
    for name, role in ROLES.items():
        await operators.add(name, role, PASSWORD)


@pytest.fixture(scope="session")
def console() -> Iterator[Console]:
    """A server for the tests of this folder; tournaments are settled as soon as they end."""
    parent = Path(tempfile.mkdtemp(prefix="grandstand-console-"))
    server = None
    quick = {"GRANDSTAND_TOURNAMENT_GRACE_SECONDS": "0", "GRANDSTAND_TOURNAMENT_SLACK_SECONDS": "0"}
    quick["GRANDSTAND_TRUSTED_PROXIES"] = "127.0.0.0/8"
    quick["GRANDSTAND_WEBHOOK_ALLOW_PRIVATE"] = "true"
    try:
        server = start_up(parent / "data", "--workers", "1", environment=quick)
        console = Console(server)
        console.manage(_add_all)
        yield console
    finally:
        if server is not None:
            end(server)
        shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    chromium = program("chromium")
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.command,
            env={**os.environ, **chromium.environment},
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
            timeout=60_000,
        )
        yield browser
        browser.close()


@pytest.fixture
def ann(console: Console, browser: Browser) -> Iterator[Watched]:
    """A browser with an admin's session; it fails the test when a page reached elsewhere or something was blocked."""
    with console.client("ann"):
        context = browser.new_context(timezone_id="Asia/Kolkata", locale="en-GB")
    cookie = {"name": "gs_console", "value": console.cookies["ann"], "url": console.url + "/console"}
    context.add_cookies([cookie])  # type: ignore[list-item]
    watched = Watched(context, console.url)
    context.on("request", watched.note)
    yield watched
    context.close()
    watched.check()


@pytest.fixture(scope="module")
async def door(
    anyio_backend: Any, engines: RunningEngines, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Door]:
    folder = tmp_path_factory.mktemp("data")
    # What httpx calls the peer's address is that of a proxy here, so that each client may have its own.
    async with open_deployment(
        engines, template_database, folder, trusted_proxies="127.0.0.0/8", rate_limit_log_ins=5
    ) as site:
        core = site.core
        services = build_console_services(
            site.services,
            core.database,
            core.valkey,
            core.streams,
            core.tournaments,
            Passwords(CHEAP),
        )
        operators = services.operators
        for name, role in ROLES.items():
            await operators.add(name, role, PASSWORD)
        yield Door(ConsoleApp(services, site.app), services, site)

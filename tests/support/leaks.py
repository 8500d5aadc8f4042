"""Looks for credentials where none may be: whatever a test, its processes or the server's answers say.

Watches the whole run, in each of its processes: what each test printed and logged (`pytest_runtest_makereport`), what
the processes and engines of each `grandstand up` logged (`tests/support/server.py`), those of `tests/faults`, the
session's engines (`tests/support/engines.py`), the trees of the short soak, and every answer and address of the app in
`tests/api`, dead letters and metrics among them.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

KEY = re.compile(r"gs_(?:admin|server|client|sign)_(?!\*|…)[A-Za-z0-9_-]{12,}")
TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}")

ISSUING = re.compile(r"/api/keys|/api/players/sessions")
"""Routes whose answers are credentials."""


class LeakError(AssertionError):
    """A credential stands where everybody can read it."""


def leaks(text: str) -> list[str]:
    """What looks like a credential, cut so that this says none itself."""
    return [f"{found[0][:18]}… in {_around(text, found)}" for found in _found(text)]


def check_text(text: str, where: str) -> None:
    """Make sure that no credential is in a text.

    Raises:
        LeakError: there is one.
    """
    if found := leaks(text):
        raise LeakError(f"{where}: {found[:3]}")


def check_files(paths: Iterable[Path]) -> None:
    """Make sure that no credential is in any of these files; those that are gone do not count.

    Raises:
        LeakError: there is one.
    """
    for path in paths:
        if path.is_file():
            check_text(path.read_text(errors="replace"), path.name)


async def check_answer(response: Any) -> None:
    """Hook for an httpx client: no answer but those that issue credentials holds one, and no address does."""
    check_text(unquote_plus(str(response.request.url)), "the address of a request")
    check_text(str(dict(response.headers)), "the headers of an answer")
    if ISSUING.search(response.request.url.path) or response.headers.get("content-type", "").startswith("text/event-"):
        return
    await response.aread()
    check_text(response.text, f"the answer to {response.request.method} {response.request.url.path}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Fail a test that printed or logged a credential, unless it is marked as one that shows them."""
    report = yield
    if report.passed and item.get_closest_marker("shows_credentials") is None:
        text = "\n".join(content for title, content in report.sections if title.startswith("Captured"))
        if found := leaks(text):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} leaks credentials: {found[:3]}"
    return report


def _found(text: str) -> Iterator[re.Match[str]]:
    yield from KEY.finditer(text)
    yield from TOKEN.finditer(text)


def _around(text: str, found: re.Match[str]) -> str:
    return repr(text[max(0, found.start() - 60) : found.start()])

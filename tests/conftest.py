"""What every test may use: real engines, a running server, and no settings of the person who runs the tests."""

import os
import signal
import sys

import pytest
import structlog

from grandstand.settings import ENV_PREFIX

# The assertions of these say what differs, as those of tests do.
pytest.register_assert_rewrite(
    "tests.support.core", "tests.support.world", "tests.support.driver", "tests.support.invariants"
)

pytest_plugins = ["tests.support.alone", "tests.support.leaks", "tests.support.engines", "tests.support.server"]

# As in production: a trace without the values of variables, for those hold credentials.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# Tests start hundreds of processes: without what the first has compiled, each would compile the whole product again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell that starts the tests in the background has them, and all that they start, ignore these.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Before anything reads them: a developer's own database is never a test's.
for _name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
    del os.environ[_name]


SLOW_FOLDERS = ("soak", "faults", "processes", "deploy", "cluster", "hostile", "operations")
"""What waits for processes most begins first, so that the two test processes end together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow folders first; inside a folder the order stays."""
    places = {name: place for place, name in enumerate(SLOW_FOLDERS)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(places)))


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Asynchronous tests run on plain asyncio."""
    return ("asyncio", {"use_uvloop": False})

"""What every test may use: real engines, a running server, and no settings of the person who runs the tests."""

import os
import signal
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

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

# How long examples take says how busy the machine is. What fixtures hold is begun anew by the tests themselves.
settings.register_profile(
    "explore", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
# Those of `make test` are the same each time: what fails there has been changed. `make explore` looks for others.
settings.register_profile("tests", settings.get_profile("explore"), derandomize=True)
settings.load_profile("tests")

# Before anything reads them: a developer's own database is never a test's.
for _name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
    del os.environ[_name]


WAITING_FOLDERS = (
    "soak", "faults", "processes", "cluster", "lab", "deploy", "hostile", "databases", "edge", "console", "importing",
    "traces", "bench",
)  # fmt: skip
"""What mostly waits: for trees to start, leases to expire, tournaments to end. The longest first."""

SHORT_FOLDERS = ("unit", "documents")
"""What has no test of more than a second or two."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the test processes wait and compute at the same time, and end together; inside a file the order stays.

    Files that wait are spread among those that compute. What has to be alone comes last, among short tests: whoever
    wants the machine for itself waits until what runs beside it has ended.
    """
    alone = {item.path for item in items if item.get_closest_marker("alone") is not None}
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(item.path for item in items):
        folder = path.parent.name
        if path in alone:
            groups["alone"].append(path)
        else:
            kind = "waiting" if folder in WAITING_FOLDERS else "short" if folder in SHORT_FOLDERS else "computing"
            groups[kind].append(path)
    groups["waiting"].sort(key=lambda path: WAITING_FOLDERS.index(path.parent.name))
    # Those that are alone in the first half of the end, so that short tests are left to end together with.
    places = {
        path: (name in ("alone", "short"), number / len(paths) / (2 if name == "alone" else 1))
        for name, paths in groups.items()
        for number, path in enumerate(paths)
    }
    items.sort(key=lambda item: places[item.path])


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Asynchronous tests run on plain asyncio."""
    return ("asyncio", {"use_uvloop": False})

"""How long a migration waits for locks: seconds at a time, again and again within a bound, and who stood in the way."""

import random
import threading
import time
from datetime import UTC
from types import TracebackType
from typing import Any, Self

import psycopg

from grandstand.storage import queries

LOCK_WAIT_MAX_SECONDS = 2.0
"""Whatever a migration waits for, others wait behind it; so no try may take longer than players put up with."""

_PAUSE_FIRST_SECONDS = 0.25
_PAUSE_MAX_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_SHOWN_MAX = 3
_QUERY_SHOWN_MAX = 120


class Patience:
    """Says how long to pause before the next try, and when it is enough. Begins anew with every migration."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._version: str | None = None
        self._deadline = 0.0
        self._pause_seconds = 0.0

    def pause(self, version: str | None) -> bool:
        """Wait before the schema at `version` is tried to be moved on again; False when the time is over."""
        now = time.monotonic()
        if version != self._version or not self._deadline:
            # The try that failed just now belongs to it.
            self._version, self._deadline = version, now - LOCK_WAIT_MAX_SECONDS + self._seconds
            self._pause_seconds = _PAUSE_FIRST_SECONDS
        if now >= self._deadline:
            return False
        # Different each time, so that it does not keep step with what stands in the way.
        time.sleep(min(self._pause_seconds * random.uniform(0.5, 1.5), self._deadline - now))  # noqa: S311
        self._pause_seconds = min(_PAUSE_MAX_SECONDS, self._pause_seconds * 2)
        return True


class BlockerWatch:
    """Looks meanwhile who holds what sessions named `name` wait for; afterwards nobody could tell any more."""

    def __init__(self, database_url: str, name: str) -> None:
        self._database_url = database_url
        self._name = name
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="blockers", daemon=True)
        self._seen: list[tuple[Any, ...]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def describe(self) -> str:
        """Return who stood in the way when somebody last did."""
        if not self._seen:
            return "who held the lock was gone before it could be seen"
        return "; ".join(_describe(row) for row in self._seen[:_SHOWN_MAX])

    def _watch(self) -> None:
        # Most migrations are over by then, and need no connection more.
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                with psycopg.connect(
                    self._database_url, autocommit=True, prepare_threshold=None, connect_timeout=5
                ) as connection:
                    self._look(connection)
            except psycopg.Error:
                continue

    def _look(self, connection: psycopg.Connection) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            rows = connection.execute(queries.load("migrate/blockers.sql"), {"name": self._name}).fetchall()
            self._seen = rows or self._seen


def _describe(row: tuple[Any, ...]) -> str:
    pid, user, program, state, since, query = row
    shown = " ".join(query.split())[:_QUERY_SHOWN_MAX]
    began = f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if since is not None else "an unknown time"
    said = f": {shown}" if shown else ""
    return f"pid {pid} ({program}, {f'user {user}, ' if user else ''}{state}) since {began}{said}"

"""Looks into PostgreSQL and Valkey past the product: what is stored, and what still waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import asyncpg
import valkey.asyncio
import zstandard
from valkey.asyncio.cluster import ClusterNode, ValkeyCluster
from valkey.exceptions import ValkeyClusterException, ValkeyError

SQL = Path(__file__).with_name("sql")
SCHEMA = "grandstand"
TAGS = ("events", "events:1da", "events:2ba")
"""The hash tags of the event streams that a tree may have here."""
OF_A_STREAM = ("high", "low", "depth", "book", "trials")
LOSE_STREAMS = Path(__file__).with_name("lose_streams.lua")
INDEXES = "gs:{r*"
DRAIN_BOUND_SECONDS = 30.0
_TIMEOUT_SECONDS = 30.0
_IDS_A_LOOK = 20_000
_POLL_SECONDS = 0.05
_ZSTD = b"\x28\xb5\x2f\xfd"
_CLUSTER = "valkey+cluster://"
_AWAY = (
    OSError,
    TimeoutError,
    ValkeyError,
    ValkeyClusterException,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

T = TypeVar("T")


class Stored(NamedTuple):
    """A row of the events table."""

    event_id: str
    user_id: str
    event_type: str
    occurred_at: datetime
    received_at: datetime
    payload: str


class Inspector:
    """Connections of its own, opened for each look: engines come and go. There are so many event streams."""

    def __init__(self, database_url: str, valkey_url: str, streams: int = 1) -> None:
        self._database_url = database_url
        self._valkey_url = valkey_url
        self.streams = streams
        self._stream_keys = [f"gs:{{{tag}}}:{name}" for tag in TAGS[:streams] for name in ("high", "low")]
        self._depth_keys = [f"gs:{{{tag}}}:depth" for tag in TAGS[:streams]]

    async def fetch(self, name: str, *arguments: Any) -> Sequence[Any]:
        """Run one of the queries in `soak/sql`."""
        return await _patiently(lambda: self._fetch(name, *arguments))

    async def _fetch(self, name: str, *arguments: Any) -> Sequence[Any]:
        connection = await asyncpg.connect(
            self._database_url, server_settings={"search_path": SCHEMA}, timeout=_TIMEOUT_SECONDS
        )
        try:
            rows: Sequence[Any] = await connection.fetch(_query(name), *arguments, timeout=_TIMEOUT_SECONDS)
            return rows
        finally:
            await connection.close(timeout=_TIMEOUT_SECONDS)

    async def events(self, event_ids: Sequence[str]) -> list[Stored]:
        """Return the stored rows of these events."""
        found: list[Stored] = []
        for start in range(0, len(event_ids), _IDS_A_LOOK):
            chunk = event_ids[start : start + _IDS_A_LOOK]
            found += [Stored(*row) for row in await self.fetch("events", chunk)]
        return found

    async def waiting(self) -> tuple[int, int]:
        """Return how many blocks the streams hold and how many events the product counts as not yet processed."""

        async def look() -> tuple[int, int]:
            async with self._valkey() as client:
                blocks = [await client.xlen(name) for name in self._stream_keys]
                return sum(blocks), sum([int(await client.get(name) or 0) for name in self._depth_keys])

        return await _patiently(look)

    async def is_drained(self, seconds: float = DRAIN_BOUND_SECONDS) -> bool:
        """Wait until nothing is in the streams any more; False when that takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await self.waiting() == (0, 0):
                return True
            await asyncio.sleep(_POLL_SECONDS)
        return False

    async def waiting_texts(self) -> bytes:
        """Return the events that the streams hold, as texts."""

        async def look() -> list[Any]:
            async with self._valkey() as client:
                return [await client.xrange(name) for name in self._stream_keys]

        streams = await _patiently(look)
        return b"\n".join(_text(fields[b"e"]) for blocks in streams for _, fields in blocks)

    async def oldest_waiting_at(self) -> float | None:
        """Return when the oldest block came into a stream, in seconds of Unix time; None when there is none."""

        async def look() -> list[Any]:
            async with self._valkey() as client:
                return [await client.xrange(name, count=1) for name in self._stream_keys]

        found = await _patiently(look)
        times = [int(entries[0][0].split(b"-")[0]) / 1000 for entries in found if entries]
        return min(times, default=None)

    async def lose_indexes(self, suffix: str) -> int:
        """Delete the keys of every rank index that end so ('' for all); return how many there were."""

        async def delete() -> int:
            async with self._valkey() as client:
                names = [name async for name in client.scan_iter(match=f"{INDEXES}{suffix}", count=500)]
                if names:
                    await client.delete(*names)
                return len(names)

        return await _patiently(delete)

    async def lose_streams(self) -> bytes:
        """Delete the streams and all that is kept of them, each at one moment; return their events as texts."""
        names = [[f"gs:{{{tag}}}:{name}" for name in OF_A_STREAM] for tag in TAGS[: self.streams]]
        return b"\n".join([await self._lose_stream(each) for each in names])

    async def _lose_stream(self, names: list[str]) -> bytes:

        async def delete() -> list[Any]:
            async with self._valkey() as client:
                script = LOSE_STREAMS.read_text()
                # The client knows the commands by other types than it takes.
                streams: list[Any] = await client.eval(script, len(names), *names)  # type: ignore[misc]
                return streams

        streams = await _patiently(delete)
        return b"\n".join(_text(value) for blocks in streams for _, block in blocks for value in block)

    async def connections(self) -> tuple[int, int]:
        """Return how many clients PostgreSQL and Valkey have."""
        async with self._valkey() as client:
            info = await client.info("clients")
        (row,) = await self.fetch("connections")
        return int(row[0]), int(info["connected_clients"]) - 1

    def _valkey(self) -> "valkey.asyncio.Valkey":
        if self._valkey_url.startswith(_CLUSTER):
            addresses = [item.split(":") for item in self._valkey_url.removeprefix(_CLUSTER).split(",")]
            # It has the commands that are used here.
            return cast(
                "valkey.asyncio.Valkey",
                ValkeyCluster(
                    startup_nodes=[ClusterNode(host, int(port)) for host, port in addresses],
                    socket_timeout=_TIMEOUT_SECONDS,
                    cluster_error_retry_attempts=1,
                ),
            )
        client: valkey.asyncio.Valkey = valkey.asyncio.Valkey.from_url(
            self._valkey_url, socket_timeout=_TIMEOUT_SECONDS
        )
        return client


async def _patiently(look: Callable[[], Awaitable[T]]) -> T:
    """Look, again and again while the engine is away."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        try:
            return await look()
        except _AWAY:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_POLL_SECONDS)


@cache
def _query(name: str) -> str:
    return (SQL / f"{name}.sql").read_text()


def _text(kept: bytes) -> bytes:
    """Return what a value of a block says; large ones are kept compressed."""
    return zstandard.ZstdDecompressor().decompress(kept) if kept.startswith(_ZSTD) else kept

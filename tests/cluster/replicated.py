"""A core whose events and ranks count once a replica has them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from grandstand.operations.stream_registry import StreamRegistry
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.stream_history import StreamHistory
from grandstand.storage.valkey import open_valkey
from grandstand.storage.valkey_scripts import Replication
from tests.support.core import Core, empty, forget_losses, open_core

SYNCED = Replication(1, 4000)
"""A machine that stands still makes no write fail that a replica takes."""


@asynccontextmanager
async def open_replicated_core(
    database_url: str, valkey_url: str, prefix: str, streams: int = 1
) -> AsyncIterator[Core]:
    """Open an empty one with its `global` board and its streams."""
    async with open_core(database_url, valkey_url, prefix) as opened:
        await empty(opened.database)
        await forget_losses(opened)
        open_client = partial(open_valkey, valkey_url, timeout_seconds=5)
        opened.streams = EventStreams(opened.valkey, prefix, replication=SYNCED, count=streams, open_client=open_client)
        opened.stream = opened.streams[0]
        opened.registry = StreamRegistry(opened.database, StreamHistory(), opened.streams)
        opened.index = RankingIndex(opened.valkey, prefix, SYNCED)
        opened.applier = opened.new_applier()
        opened.finder = opened.new_finder()
        opened.reader = opened.new_reader(finder=opened.finder)
        await opened.definer.ensure_global()
        await opened.refresh()
        await opened.registry.open(streams)
        await opened.stream.create_group()
        try:
            yield opened
        finally:
            await opened.streams.close()

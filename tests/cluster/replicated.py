"""A core whose events and ranks count once a replica has them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from grandstand.storage.event_stream import EventStream
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.valkey import Replication
from tests.support.core import Core, empty, open_core

SYNCED = Replication(1, 1500)


@asynccontextmanager
async def open_replicated_core(database_url: str, valkey_url: str, prefix: str) -> AsyncIterator[Core]:
    """Open an empty one with its `global` board and its stream."""
    async with open_core(database_url, valkey_url, prefix) as opened:
        await empty(opened.database)
        opened.stream = EventStream(opened.valkey, prefix, replication=SYNCED)
        opened.index = RankingIndex(opened.valkey, prefix, SYNCED)
        opened.applier = opened.new_applier()
        opened.finder = opened.new_finder()
        opened.reader = opened.new_reader(finder=opened.finder)
        await opened.definer.ensure_global()
        await opened.refresh()
        await opened.stream.create_group()
        yield opened

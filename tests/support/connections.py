"""Connections that tests open themselves."""

import asyncio
from contextlib import suppress


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection and wait until it is closed: else a later test, which shares the event loop, ends it."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()

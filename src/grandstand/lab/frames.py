"""Messages between the lab and its generator processes over pipes: four bytes of length, then MessagePack."""

import asyncio
import os
import struct
import sys
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_LENGTH = struct.Struct(">I")


def write_frame(message: Any) -> None:
    """Write a message to standard output, all of it."""
    data = memoryview(frame_of(message))
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def read_frame(kind: type[T]) -> T | None:
    """Read a message from standard input; None when it ended."""
    head = _read_exactly(_LENGTH.size)
    content = head and _read_exactly(_LENGTH.unpack(head)[0])
    return msgspec.msgpack.decode(content, type=kind) if content else None


def _read_exactly(count: int) -> bytes:
    # Straight from the descriptor: a buffer would hide from the loop that something came.
    parts = b""
    while len(parts) < count:
        part = os.read(sys.stdin.fileno(), count - len(parts))
        if not part:
            return b""
        parts += part
    return parts


def frame_of(message: Any) -> bytes:
    """Return a message as it is written."""
    content = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(content)) + content


async def next_frame(reader: asyncio.StreamReader) -> bytes:
    """Return the next message of a process, undecoded.

    Raises:
        asyncio.IncompleteReadError: it ended.
    """
    return await reader.readexactly(_LENGTH.unpack(await reader.readexactly(_LENGTH.size))[0])

"""Standard input as a lifeline, for processes that the supervisor starts (see supervisor/child.py)."""

import asyncio
import contextlib
import os
import sys

STDIN = 0


def wait_for_go() -> None:
    """Say that the code is loaded, and wait for the line that lets this process begin.

    Exits quietly when the supervisor is gone before.
    """
    # A person who tries the flag has no socket there: nobody listens then.
    with contextlib.suppress(OSError):
        os.write(STDIN, b"loaded\n")
    # Unbuffered: a buffered reader would keep from `stop_at_end` what it reads ahead.
    while (character := _read(1)) != b"\n":
        if not character:
            sys.exit(0)


def stop_at_end(stop: asyncio.Event) -> None:
    """Set the event, in the running loop, when the supervisor is gone."""
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not _read(4096):
            loop.remove_reader(STDIN)
            stop.set()

    loop.add_reader(STDIN, readable)


def _read(count: int) -> bytes:
    """Read what is there, up to `count` bytes; nothing when the supervisor is gone."""
    try:
        return os.read(STDIN, count)
    except ConnectionResetError:
        # It was killed before it read what this process had said.
        return b""

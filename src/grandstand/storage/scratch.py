"""Folders for copies of archived files and exports, under the temporary folder (`TMPDIR`).

Each is locked by its process for as long as it is in use; the kernel lets go of the lock however the process ends. So
whoever needs a folder next deletes those that nobody holds: `kill -9` leaves gigabytes for a while, and not for ever.
"""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_PREFIX = "grandstand-archive-"
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@asynccontextmanager
async def scratch_folder() -> AsyncIterator[Path]:
    """Lend an empty folder, which goes at the end with all that is in it.

    Raises:
        OSError: there is no room, or no temporary folder.
    """
    await asyncio.to_thread(_sweep, Path(tempfile.gettempdir()))
    path, lock = _make()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make() -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with suppress(FileNotFoundError):
            lock = os.open(path, _OPEN)
            # Where a file system knows no such locks nobody gets one, and nothing is taken for left behind.
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path, lock
            # Somebody found it between the two calls, without a lock.
            os.close(lock)


def _sweep(root: Path) -> None:
    """Delete the folders of this user that no process holds."""
    for path in root.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = os.open(path, _OPEN)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)

"""Makes sure that what was put into a folder is still there after a crash."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Sync a folder: the names of new or renamed files in it are then on the disk.

    Raises:
        OSError: it cannot be opened or synced.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

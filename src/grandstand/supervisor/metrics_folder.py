"""Where the processes of a tree share their numbers: in memory where that can be.

They write through memory maps. On a full disk such a write ends the process, so the files had better not be on one.
"""

import hashlib
import os
import shutil
from pathlib import Path

from grandstand.embedded.data_folder import DataFolder

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder made there is ours alone


def make_metrics_folder(folder: DataFolder) -> Path:
    """Return an empty folder that only this user reaches: in memory on Linux, else in the data folder."""
    name = hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:16]
    for path in (_IN_MEMORY / f"grandstand-{os.geteuid()}-{name}", folder.run / "metrics"):
        # What an earlier tree left behind; what is another user's stays, and then the folder cannot be made.
        shutil.rmtree(path, ignore_errors=True)
        try:
            path.mkdir(mode=0o700)
        except OSError:
            continue
        return path
    raise OSError(f"No folder for metrics can be made in {folder.run}.")

"""How much memory there is for the engines: the machine's, or what its container may use."""

from pathlib import Path

import psutil

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available_bytes() -> int:
    """Return the memory that this machine has, or the limit of this container where that is less."""
    total = int(psutil.virtual_memory().total)
    return min([total, *(limit for path in _CGROUP_LIMITS if (limit := _read_limit(Path(path))) is not None)])


def _read_limit(path: Path) -> int | None:
    # Where there is no limit the file is missing, says "max", or names a number beyond any memory.
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None

"""Small disks under the engines of a tree, to be filled up: file systems in memory that only the tree sees."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

DISK_BYTES = 256 * 1024 * 1024
NEEDS = "needs root and a mount namespace of its own (Linux)"
_IN_A_MOUNT = ("unshare", "-m", "sh", "-c")


def can_mount() -> bool:
    """Whether this machine lets the harness mount file systems."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run([*_IN_A_MOUNT, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode == 0


def on_a_new_disk(folder: Path, size_bytes: int = DISK_BYTES) -> list[str]:
    """Return what to put before a command so that it finds an empty disk mounted at a folder."""
    return _prefix(f"mount -t tmpfs -o size={size_bytes},mode=755 none {folder}")


def on_disks_with_copies(folders: Sequence[Path], size_bytes: int = DISK_BYTES) -> list[str]:
    """Return what to put before a command so that it finds each folder, as it is, on a small disk of its own.

    The copies go with the last process that sees them, and what was there before is gone at once: start it only once.
    """
    steps = [
        f"cp -a {folder} {folder}.copy && mount -t tmpfs -o size={size_bytes} none {folder} && "
        f"cp -a {folder}.copy/. {folder} && rm -r {folder}.copy"
        for folder in folders
    ]
    return _prefix(" && ".join(steps))


def _prefix(steps: str) -> list[str]:
    return [*_IN_A_MOUNT, f'{steps} && exec "$@"', "sh"]


class Disk:
    """The disk mounted at `folder`, reached through the root of a process that sees it."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._ballast = Path(f"/proc/{pid}/root{folder}/ballast")

    def fill(self) -> None:
        """Leave not a byte free."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * size):
                        pass

    def free(self) -> None:
        """Give back what `fill` took."""
        self._ballast.unlink(missing_ok=True)

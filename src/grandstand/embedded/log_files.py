"""Log files of the engines, kept small by size.

The engines write to a descriptor they inherit, so a file is copied and emptied rather than renamed.
"""

import os
import shutil
from pathlib import Path

LIMIT_BYTES = 10 * 1024 * 1024


def open_log(path: Path) -> int:
    """Open the file for appending and return its descriptor; the caller closes it."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def rotate_log(path: Path, limit_bytes: int = LIMIT_BYTES) -> bool:
    """Move the content to `<name>.1` when the file is larger than the limit; return whether it was."""
    if not path.exists() or path.stat().st_size <= limit_bytes:
        return False
    older = path.with_name(path.name + ".1")
    older.unlink(missing_ok=True)
    descriptor = os.open(older, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target, path.open("rb") as source:
        shutil.copyfileobj(source, target)
    os.truncate(path, 0)
    return True


def last_words(path: Path, since_bytes: int, marks: tuple[str, ...]) -> str:
    """Return the last line after an offset that carries one of the marks (else the last line), for an error message."""
    if not path.exists():
        return "it said nothing"
    with path.open("rb") as handle:
        handle.seek(max(since_bytes, handle.seek(0, os.SEEK_END) - 65_536))
        lines = handle.read().decode(errors="replace").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    marked = [line for line in lines if any(mark in line for mark in marks)]
    return (marked or lines or ["it said nothing"])[-1].rstrip(".")

"""The data folder: who owns it, who uses it now, and what lies where in it.

    lock            held (flock) by the one process tree that uses the folder
    postgres/       the database cluster          valkey/   the append-only file: data, not a cache
    run/            sockets, state.json, metrics  logs/     what the engines say, rotated by size

Everything is closed to other users. Permissions are only ever narrowed, and never those of a parent.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from grandstand.embedded.errors import DataFolderError
from grandstand.embedded.identity import Identity, choose_identity, current_identity, user_name

LOCK = "lock"
RESTORING = "restoring"
# sun_path holds 108 bytes on Linux and 104 on macOS, and the name of a socket comes after the folder.
SOCKET_PATH_MAX_BYTES = 100
LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"
# A mounted volume may hold it from the start.
IGNORED = {"lost+found"}


class DataFolder:
    """A data folder that this process holds until `close` (or until it dies)."""

    def __init__(self, path: Path, identity: Identity, lock_descriptor: int) -> None:
        self.path = path
        self.identity = identity
        self._lock_descriptor = lock_descriptor
        self._short_folder: Path | None = None

    @property
    def run(self) -> Path:
        """What is only of use while the tree runs."""
        return self.path / "run"

    @property
    def logs(self) -> Path:
        """Log files of the engines."""
        return self.path / "logs"

    def subfolder(self, name: str) -> Path:
        """Create (or check) a folder inside that belongs to the engines' user alone, and return it."""
        folder = self.path / name
        _make_private(folder, self.identity)
        return folder

    def socket_folder(self) -> Path:
        """Return the folder for sockets: `run`, or a short one elsewhere when that path does not do for a socket.

        It must not be too long, and a comma would stand between two hosts for PostgreSQL's clients.
        """
        if len(os.fsencode(self.run / LONGEST_SOCKET_NAME)) <= SOCKET_PATH_MAX_BYTES and "," not in str(self.run):
            return self.run
        if self._short_folder is None:
            parent = tempfile.gettempdir()
            if len(os.fsencode(parent)) > SOCKET_PATH_MAX_BYTES - 40:
                parent = "/tmp"  # noqa: S108 - mkdtemp makes a private folder in it
            self._short_folder = Path(tempfile.mkdtemp(prefix="grandstand-", dir=parent))
            self.identity.own(self._short_folder)
        return self._short_folder

    def close(self) -> None:
        """Let go of the folder."""
        if self._short_folder is not None:
            shutil.rmtree(self._short_folder, ignore_errors=True)
        os.close(self._lock_descriptor)

    def __enter__(self) -> "DataFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_data_folder(path: Path, *, for_engines: bool = True) -> DataFolder:
    """Create the data folder or check the existing one, and lock it for this process.

    Args:
        path: the folder; its parents are made when missing.
        for_engines: whether embedded engines will live in it; without them it holds only what a running tree needs.

    Raises:
        DataFolderError: it is in use, cannot be written, belongs to another user or holds something else.
        EngineStartError: root on a system where the engines cannot run for root.

    """
    path = Path(os.path.realpath(path))
    if not str(path).isprintable():
        raise DataFolderError(f"The data folder {str(path)!r} has control characters in its name: choose another one.")
    try:
        return _open(path, for_engines=for_engines)
    except OSError as error:
        raise DataFolderError(f"The data folder {path} cannot be used: {_reason(error)}.") from None


def begin_restore(path: Path) -> None:
    """Mark a data folder as one that is being made from a backup: nothing starts from half of it."""
    (path / RESTORING).touch(mode=0o600)


def end_restore(path: Path) -> None:
    """Say that everything is there."""
    (path / RESTORING).unlink()


def is_in_use(path: Path) -> bool:
    """Return whether a running Grandstand holds the data folder."""
    try:
        descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _open(path: Path, *, for_engines: bool) -> DataFolder:
    exists = path.exists()
    if exists and not path.is_dir():
        raise DataFolderError(f"The data folder {path} is a file: choose another --data-dir.")
    owner = path.stat().st_uid if exists else None
    identity = choose_identity(owner) if for_engines else current_identity()
    if exists:
        _check_is_ours_or_empty(path)
        _take(path, identity)
    else:
        path.mkdir(mode=0o700, parents=True)
        identity.own(path)
    path.chmod(0o700)
    folder = DataFolder(path, identity, _lock(path, identity))
    try:
        for name in ("run", "logs", *(("valkey",) if for_engines else ())):  # initdb makes postgres
            folder.subfolder(name)
        if for_engines and (path / "postgres").exists():
            _check_owner(path / "postgres", identity)
    except BaseException:
        folder.close()
        raise
    return folder


def _check_is_ours_or_empty(path: Path) -> None:
    # Before anything is changed: the wrong folder would otherwise lose its owner and permissions.
    content = set(os.listdir(path)) - IGNORED
    if RESTORING in content:
        raise DataFolderError(f"A restore into {path} did not come to its end: empty the folder, and restore again.")
    if content and LOCK not in content:
        raise DataFolderError(
            f"The folder {path} holds other things than Grandstand's data: choose an empty or new one with --data-dir."
        )


def _take(path: Path, identity: Identity) -> None:
    """Hand what this process owns to the engines' user, and refuse what is somebody else's."""
    if path.lstat().st_uid == os.geteuid():
        identity.own(path)
    _check_owner(path, identity)


def _check_owner(path: Path, identity: Identity) -> None:
    owner = path.lstat().st_uid
    if owner == identity.uid or identity.uid == 0:
        return
    if os.geteuid() == 0:
        raise DataFolderError(
            f"{path} belongs to {user_name(owner)} and the engines run as {identity.name}: "
            f"start Grandstand as {user_name(owner)}, choose another --data-dir, "
            f"or give the folder away with `chown -R {identity.name}`."
        )
    raise DataFolderError(
        f"{path} belongs to {user_name(owner)} and Grandstand runs as {identity.name}: choose another --data-dir."
    )


def _make_private(folder: Path, identity: Identity) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        _take(folder, identity)
    else:
        identity.own(folder)
    folder.chmod(0o700)


def _lock(path: Path, identity: Identity) -> int:
    descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if identity.is_other:
            os.fchown(descriptor, identity.uid, identity.gid)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise DataFolderError(
            f"The data folder {path} is in use by another Grandstand (process {holder or 'unknown'}): "
            "stop that one, or choose another --data-dir."
        ) from None
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        raise
    return descriptor


def _reason(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{user_name(os.geteuid())} may not write {error.filename or 'there'}"
    return (error.strerror or str(error)).lower() + (f" ({error.filename})" if error.filename else "")

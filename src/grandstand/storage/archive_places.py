"""Where archived files are: a folder, or a bucket of an S3-compatible server. All calls block; use threads.

A name is a relative path with `/`. A file is written once and never changed.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from grandstand.domain.errors import UnavailableError, first_line


class ArchivePlace(Protocol):
    """Keeps files. Raises `OSError` when it is out of reach; `FileNotFoundError` when it has no file of the name."""

    def put(self, name: str, source: Path) -> None:
        """Keep a copy of a file; when this returns it outlives a crash of the machine that keeps it."""

    def fetch(self, name: str, target: Path) -> None:
        """Make `target` a copy that stays when the file is deleted."""

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""


def open_place(url: str) -> ArchivePlace:
    """Return the place of `s3://bucket/prefix`, `file:///folder` or a plain folder.

    Raises:
        OSError: the variables `AWS_…` are wrong, or some are missing.
        UnavailableError: the extra `archive` is not installed.
    """
    if url.startswith("s3://"):
        return BucketPlace(url)
    return FolderPlace(Path(url.removeprefix("file://")))


class FolderPlace:
    """A folder, on whatever the operating system mounts there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def put(self, name: str, source: Path) -> None:
        """Keep a copy: complete or not at all, and on disk."""
        target = self._folder / name
        made = [parent for parent in (target.parent, *target.parent.parents) if not parent.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        shutil.copyfile(source, part)
        _sync(part)
        part.replace(target)
        for folder in (target.parent, *(each.parent for each in made)):
            _sync(folder)

    def fetch(self, name: str, target: Path) -> None:
        """Link it, or copy it where links do not reach."""
        target.unlink(missing_ok=True)
        try:
            os.link(self._folder / name, target)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(self._folder / name, target)

    def delete(self, name: str) -> None:
        """Delete a file, and what was left of writing it."""
        path = self._folder / name
        for each in (path, path.with_name(path.name + ".part")):
            each.unlink(missing_ok=True)


class BucketPlace:
    """A prefix in a bucket. Server and credentials are those of the usual variables `AWS_…`."""

    def __init__(self, url: str) -> None:
        try:
            import obstore
        except ImportError as error:
            raise UnavailableError("Archives in a bucket need the extra: pip install 'grandstand[archive]'.") from error
        self._obstore: Any = obstore
        try:
            self._store: Any = obstore.store.from_url(url)
        except (obstore.exceptions.BaseError, ValueError) as error:
            raise OSError(_said(error)) from error

    def put(self, name: str, source: Path) -> None:
        """Keep a copy; the server answers when it is durable."""
        self._call(self._obstore.put, name, source)

    def fetch(self, name: str, target: Path) -> None:
        """Copy it to this machine."""
        self._call(self._copy, name, target)

    def delete(self, name: str) -> None:
        """Delete a file; a server does not mind when there is none."""
        with suppress(FileNotFoundError):
            self._call(self._obstore.delete, name)

    def _copy(self, store: Any, name: str, target: Path) -> None:
        # What breaks off in the middle is the bucket's trouble, too.
        with target.open("wb") as file:
            for chunk in self._obstore.get(store, name).stream(min_chunk_size=1 << 20):
                file.write(chunk)

    def _call(self, function: Any, *arguments: Any) -> Any:
        try:
            return function(self._store, *arguments)
        except self._obstore.exceptions.BaseError as error:
            raise OSError(_said(error)) from error


def _said(error: Exception) -> str:
    return f"The bucket of archives cannot be used: {first_line(error)}"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Where archived files are: a folder, or a bucket of an S3-compatible server. All calls block; use threads.

A name is a relative path with `/`. A file is written once and never changed; small ones may be replaced as a whole.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

from grandstand.domain.errors import UnavailableError, first_line

_T = TypeVar("_T")
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3")
"""What the library takes for the server's address, without a look at it."""


class SmallFile(NamedTuple):
    """What a small file holds; `version` is one that the server knows, None where there are none."""

    content: bytes
    version: str | None


class WrittenMeanwhileError(OSError):
    """Somebody has written a small file since it was read."""


class ArchivePlace(Protocol):
    """Keeps files. Raises `OSError` when it is out of reach; `FileNotFoundError` when it has no file of the name."""

    def put(self, name: str, source: Path) -> None:
        """Keep a copy of a file; when this returns it outlives a crash of the machine that keeps it."""

    def fetch(self, name: str, target: Path) -> None:
        """Make `target` a copy that stays when the file is deleted."""

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""

    def has(self, name: str) -> bool:
        """Return whether there is a file of the name."""

    def read(self, name: str) -> SmallFile | None:
        """Return what a small file holds; None when there is none."""

    def replace(self, name: str, content: bytes, read: SmallFile | None) -> None:
        """Write a small file as a whole, instead of the one that was `read`; durable as `put` is.

        Raises:
            WrittenMeanwhileError: somebody else has written it. A folder does not notice what happens in the last
                moment, and a server that knows no conditions nothing.
        """


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
        self._keep(name, lambda part: shutil.copyfile(source, part))

    def _keep(self, name: str, write: Callable[[Path], object]) -> None:
        target = self._folder / name
        made = [parent for parent in (target.parent, *target.parent.parents) if not parent.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        write(part)
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

    def has(self, name: str) -> bool:
        """Look at the folder."""
        return (self._folder / name).is_file()

    def read(self, name: str) -> SmallFile | None:
        """Read it whole."""
        try:
            return SmallFile((self._folder / name).read_bytes(), None)
        except FileNotFoundError:
            return None

    def replace(self, name: str, content: bytes, read: SmallFile | None) -> None:
        """Replace it, after a second look."""
        if self.read(name) != read:
            raise WrittenMeanwhileError("Somebody else has written into the folder of archives at the same moment.")
        self._keep(name, lambda part: part.write_bytes(content))


class BucketPlace:
    """A prefix in a bucket. Server and credentials are those of the usual variables `AWS_…`."""

    def __init__(self, url: str) -> None:
        try:
            import obstore
        except ImportError as error:
            raise UnavailableError("Archives in a bucket need the extra: pip install 'grandstand[archive]'.") from error
        self._obstore: Any = obstore
        for name in _ENDPOINTS:
            _check_endpoint(name, os.environ.get(name))
        try:
            self._store: Any = obstore.store.from_url(url)
        except ValueError as error:
            raise OSError(_said(error)) from error
        except BaseException as error:  # noqa: BLE001 - panics of the library are no `Exception`
            raise self._translated(error) from None

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

    def has(self, name: str) -> bool:
        """Ask for its head."""
        try:
            self._call(self._obstore.head, name)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> SmallFile | None:
        """Read it whole. What may not be read counts as missing: Amazon says so to who may not list the bucket."""
        try:
            return self._call(self._read, name)
        except (FileNotFoundError, PermissionError):
            return None

    def replace(self, name: str, content: bytes, read: SmallFile | None) -> None:
        """Replace it on the condition that it is the one that was read, where the server knows such conditions."""
        mode: Any = "create" if read is None else {"e_tag": read.version}
        if read is None or read.version is not None:
            try:
                return self._call(self._put, name, content, mode)
            except WrittenMeanwhileError:
                raise
            except OSError:
                # A server that knows no conditions may say so in any way; there it is looked at, as in a folder.
                if self.read(name) != read:
                    raise
        self._call(self._put, name, content, "overwrite")
        return None

    def _put(self, store: Any, name: str, content: bytes, mode: Any) -> None:
        self._obstore.put(store, name, content, mode=mode, use_multipart=False)

    def _read(self, store: Any, name: str) -> SmallFile:
        found = self._obstore.get(store, name)
        return SmallFile(bytes(found.bytes()), found.meta["e_tag"])

    def _call(self, function: Callable[..., _T], *arguments: Any) -> _T:
        try:
            return function(self._store, *arguments)
        except BaseException as error:  # noqa: BLE001 - panics of the library are no `Exception`
            raise self._translated(error) from None

    def _translated(self, error: BaseException) -> BaseException:
        """Return an error as callers of this module know it; what is none of the library's stays as it is."""
        errors = self._obstore.exceptions
        if isinstance(error, errors.AlreadyExistsError | errors.PreconditionError):
            return WrittenMeanwhileError("Somebody else has written into the bucket of archives at the same moment.")
        if isinstance(error, errors.PermissionDeniedError):
            return PermissionError(_said(error))
        # The library panics over values of which it can make no request, such as a key with a line break.
        if isinstance(error, errors.BaseError) or type(error).__name__ == "PanicException":
            return OSError(_said(error))
        return error


def _check_endpoint(name: str, value: str | None) -> None:
    """Refuse an address of which the library would make no request."""
    if value is None:
        return
    try:
        parts = urlsplit(value)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or not value.isascii() or not value.isprintable() or " " in value:
        raise OSError(f"The bucket of archives cannot be used: {name} must be http://host:port or https://host")


def _said(error: BaseException) -> str:
    return f"The bucket of archives cannot be used: {first_line(error)}"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

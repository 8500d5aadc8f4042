"""The file or standard input that an import reads."""

import errno
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self, cast

from grandstand.importer.compression import DAMAGE, open_content
from grandstand.importer.errors import SourceError

STANDARD_INPUT = "-"
_READ_BYTES = 1_048_576
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Content(NamedTuple):
    """What a source holds once it is unpacked: 32 bytes that stand for it, and its size."""

    digest: bytes
    size_bytes: int


class Source:
    """An opened source. It can be read any number of times: what cannot be rewound is first copied to a file."""

    def __init__(self, name: str) -> None:
        """Open a path, or standard input for `-`.

        Raises:
            SourceError: there is no such file, or it cannot be read.
        """
        self.name = "standard input" if name == STANDARD_INPUT else name
        try:
            # By its number: where standard input is closed, Python has no object for it.
            file = open(0, "rb", closefd=False) if name == STANDARD_INPUT else Path(name).open("rb")  # noqa: SIM115
            self._file = file if file.seekable() else _copy(file)
            self.packed_bytes = os.fstat(self._file.fileno()).st_size
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.name} cannot be read: {_reason(error)}.") from None

    def open_content(self) -> io.BufferedReader:
        """Return a reader of the plain content from its beginning; readers do not live side by side.

        Raises:
            SourceError: an unknown compression.
        """
        return open_content(self._file, self.name)

    def examine(self, on_progress: Callable[[int], None]) -> Content:
        """Read the source to its end once; `on_progress` hears how many bytes of the file are read.

        Raises:
            SourceError: it is damaged, empty or in no encoding that is read here.
        """
        digest = hashlib.blake2b(digest_size=32)
        size = 0
        try:
            with self.open_content() as content:
                while data := content.read(_READ_BYTES):
                    if not size and data.startswith(_WIDE_MARKS):
                        raise SourceError(f"{self.name} is in UTF-16: write it as UTF-8.")
                    digest.update(data)
                    size += len(data)
                    on_progress(self._file.tell())
        except DAMAGE as error:
            raise SourceError(f"{self.name} is damaged, so nothing of it was sent: {_reason(error)}.") from None
        except OSError as error:
            raise SourceError(f"{self.name} cannot be read: {_reason(error)}.") from None
        if not size:
            raise SourceError(f"{self.name} is empty.")
        return Content(digest.digest(), size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _copy(file: BinaryIO) -> BinaryIO:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the source closes it
    try:
        with file:
            shutil.copyfileobj(file, copy, _READ_BYTES)
    except BaseException:
        copy.close()
        raise
    return cast("BinaryIO", copy)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        if error.errno == errno.EISDIR:
            return "it is a folder"
        return (os.strerror(error.errno)).lower()
    return str(error).rstrip(".") or type(error).__name__

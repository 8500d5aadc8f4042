"""Reads gzip and Zstandard as plain bytes; which of them it is, the content says and not the name."""

import gzip
import io
import zlib
from typing import TYPE_CHECKING, BinaryIO

import zstandard

from grandstand.importer.errors import SourceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_GZIP = b"\x1f\x8b"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_NOT_READ = {b"PK\x03\x04": "a zip archive", b"BZh": "a bzip2 file", b"\xfd7zXZ": "an xz file"}
_BUFFER_BYTES = 262_144

DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)
"""What reading a damaged source raises."""


def open_content(file: BinaryIO, name: str) -> io.BufferedReader:
    """Return a reader of the plain content of a seekable file, from its beginning. The file itself stays open.

    Raises:
        SourceError: the content is compressed in a way that is not read here.
    """
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    for mark, kind in _NOT_READ.items():
        if start.startswith(mark):
            raise SourceError(f"{name} is {kind}: unpack it first (gzip and Zstandard are read as they are).")
    if start.startswith(_GZIP):
        return io.BufferedReader(gzip.GzipFile(fileobj=file, mode="rb"), _BUFFER_BYTES)
    if start.startswith(_ZSTANDARD):
        return io.BufferedReader(_ZstandardReader(file), _BUFFER_BYTES)
    return io.BufferedReader(_PlainReader(file), _BUFFER_BYTES)


class _PlainReader(io.RawIOBase):
    """Reads another file without owning it: closing this one leaves that one open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self._file.read(len(view))
        view[: len(data)] = data
        return len(data)


class _ZstandardReader(io.RawIOBase):
    """Reads frames one after another. The library's own reader takes a file that ends too early for a whole one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = b""
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        while not self._plain:
            packed = self._packed or self._file.read(_BUFFER_BYTES // 4)
            self._packed = b""
            if not packed:
                if self._frame is not None:
                    raise EOFError("the data ends inside a frame")
                return 0
            if self._frame is None:
                self._frame = self._decompressor.decompressobj()
            self._plain = memoryview(self._frame.decompress(packed))
            if self._frame.eof:
                self._packed = self._frame.unused_data
                self._frame = None
        view = memoryview(buffer)
        size = min(len(view), len(self._plain))
        view[:size] = self._plain[:size]
        self._plain = self._plain[size:]
        return size

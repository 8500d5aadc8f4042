"""Decodes compressed request bodies piece by piece, in bounded steps: a bomb is stopped after its first megabytes."""

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import zstandard

from grandstand.domain.errors import MalformedError

_GZIP_PIECE_BYTES = 65_536
_ZSTD_SLICE_BYTES = 128
"""A zstd block of 4 bytes may stand for 128 KiB: this many bytes decode to 4 MiB at the most."""

_ZSTD_WINDOW_BYTES_MAX = 8 * 1024 * 1024
_GZIP_WITH_HEADER = 31


class Decoder(Protocol):
    """Decodes one body."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` decodes to in pieces of bounded size.

        Raises:
            MalformedError: it is not what it says it is.
        """

    def finish(self) -> None:
        """Check that the body was complete.

        Raises:
            MalformedError: it ended too early.
        """


class PlainDecoder:
    """Passes a body on as it is."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield `data`."""
        yield data

    def finish(self) -> None:
        """Accept any end."""


class GzipDecoder:
    """Decodes gzip, of several members too."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WITH_HEADER)
        self._is_started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` decodes to."""
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP_WITH_HEADER)
            self._is_started = True
            try:
                piece = self._member.decompress(data, _GZIP_PIECE_BYTES)
            except zlib.error:
                raise MalformedError("The body is not valid gzip.") from None
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that the last member is complete."""
        if self._is_started and not self._member.eof:
            raise MalformedError("The gzip body ends too early.")


class ZstdDecoder:
    """Decodes zstd, of several frames too."""

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX)
        self._frame = self._context.decompressobj()
        self._is_started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` decodes to."""
        for start in range(0, len(data), _ZSTD_SLICE_BYTES):
            rest = data[start : start + _ZSTD_SLICE_BYTES]
            while rest:
                if self._frame.eof:
                    self._frame = self._context.decompressobj()
                self._is_started = True
                try:
                    piece = self._frame.decompress(rest)
                except zstandard.ZstdError:
                    raise MalformedError("The body is not valid zstd.") from None
                rest = self._frame.unused_data if self._frame.eof else b""
                if piece:
                    yield piece

    def finish(self) -> None:
        """Check that the last frame is complete."""
        if self._is_started and not self._frame.eof:
            raise MalformedError("The zstd body ends too early.")


DECODERS: dict[bytes, Callable[[], Decoder]] = {
    b"": PlainDecoder,
    b"identity": PlainDecoder,
    b"gzip": GzipDecoder,
    b"x-gzip": GzipDecoder,
    b"zstd": ZstdDecoder,
}
"""By the value of `Content-Encoding`."""

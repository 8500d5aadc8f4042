"""How the events of a block are kept in the stream: as `encode_events` gives them, compressed where that pays.

A block of a thousand events shrinks to about a fifth: as much less is sent, kept in memory, written to Valkey's log and
synced before a sender has its 202, and as many more events may wait. It costs an ingest process about a tenth of what
an event costs it anyway, and Valkey half of what it had to do.
"""

import zstandard

_SMALL_BYTES = 2_048
"""Below it a block is kept as it is: there is little to gain, and whoever sent one event waits for it."""

_LEVEL = 1
_BLOCK_BYTES_MAX = 1 << 28
"""More than any block has."""

_ZSTD = b"\x28\xb5\x2f\xfd"
_compress = zstandard.ZstdCompressor(level=_LEVEL).compress
_decompress = zstandard.ZstdDecompressor().decompress


def pack_block(data: bytes) -> bytes:
    """Return the events of a block as they are kept. A block that is not compressed is a JSON array as it stands."""
    return data if len(data) < _SMALL_BYTES else _compress(data)


def unpack_block(kept: bytes) -> bytes:
    """Return what `pack_block` was given. What it never made is returned as it is: reading the events will say why."""
    if kept[:4] != _ZSTD:
        return kept
    try:
        # What a block says of its size is allocated as it is: the limit of the call goes for those that say nothing.
        if zstandard.frame_content_size(kept) > _BLOCK_BYTES_MAX:
            return kept
        return _decompress(kept, max_output_size=_BLOCK_BYTES_MAX)
    except zstandard.ZstdError:
        return kept

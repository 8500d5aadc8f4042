"""Blocks as the stream keeps them: what was packed comes back, and what is damaged is nobody's end."""

import struct

import pytest

from grandstand.storage.block_data import pack_block, unpack_block

LARGE = b"[" + b'{"a":1},' * 1_000 + b"{}]"


@pytest.mark.parametrize("data", [b"[]", b"[" + b" " * 2_046 + b"]", LARGE])
def test_a_block_comes_back_as_it_was(data: bytes) -> None:
    assert unpack_block(pack_block(data)) == data


@pytest.mark.parametrize(
    "kept",
    [
        pack_block(LARGE)[:20],
        b"\x28\xb5\x2f\xfd",
        # Says that it holds a tebibyte.
        b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 40) + b"\x01\x00\x00",
    ],
)
def test_a_damaged_block_is_left_as_it_is(kept: bytes) -> None:
    assert unpack_block(kept) == kept

"""What `lua/publish.lua` takes of an entry, and how many of them become one argument.

One argument for thousands of entries, because packing, sending and parsing each text by itself would be most of the
cost of a publish.
"""

from collections.abc import Sequence
from typing import NamedTuple

VERSION_BYTES = 6
"""Versions fit into 48 bits for longer than any deployment lives; Lua's numbers are exact up to 53."""


class Change(NamedTuple):
    """An entry as it shall stand in the index, or its removal: then without a position score and prefix."""

    user_id: str
    version: int
    position_score: int | None = None
    prefix: bytes = b""
    metadata: str = ""


def pack(changes: Sequence[Change]) -> tuple[int, bytes]:
    """Return the arguments of `publish.lua`: 1 when there is metadata (else 0), and the changes, packed.

    Each text has its length before it, as struct's `>Bc0` (score), `Bc0` (version and prefix), `Hc0` (user) and, when
    there is metadata, `Ic0`.
    """
    has_metadata = any(change.metadata for change in changes)
    parts: list[bytes] = []
    for user_id, version, position_score, prefix, metadata in changes:
        score = b"" if position_score is None else b"%d" % position_score
        user = user_id.encode()
        parts.append(
            b"%c%b%c%b%b%b%b"
            % (
                len(score), score, VERSION_BYTES + len(prefix), version.to_bytes(VERSION_BYTES, "big"), prefix,
                len(user).to_bytes(2, "big"), user,
            )
        )  # fmt: skip
        if has_metadata:
            kept = metadata.encode()
            parts += (len(kept).to_bytes(4, "big"), kept)
    return int(has_metadata), b"".join(parts)


def held_version(holding: bytes) -> int:
    """Return the version in what the index holds of a user."""
    return int.from_bytes(holding[:VERSION_BYTES], "big")

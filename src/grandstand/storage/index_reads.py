"""Reads of the rank index: stretches of a ranking, users with their neighbours, and lists of users.

Each checks in the same step that the index is complete; one that is not raises `IndexIncompleteError` instead of giving
a rank that might be wrong. How an index is kept says `ranking_index.py`.
"""

import itertools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from valkey.asyncio import Valkey
from valkey.exceptions import OutOfMemoryError, ResponseError

from grandstand.domain.ranking import TIME_BYTES, Position
from grandstand.storage.gathered_lookups import LOOK_UP_WEIGHT, GatheredLookups
from grandstand.storage.index_changes import VERSION_BYTES
from grandstand.storage.valkey_errors import OUT_OF_REACH
from grandstand.storage.valkey_scripts import Argument, Script
from grandstand.storage.windows import IndexedEntry, Window

_EARLY_WEIGHT = 16 * LOOK_UP_WEIGHT
"""Of look-ups that share a call of their own: to tell of as many takes a process several times what the call does."""


class IndexIncompleteError(Exception):
    """The rank index of this ranking is missing, incomplete or out of reach: read from the entries instead."""


class Indexed(NamedTuple):
    """What the index must know of a ranking: its id, the factor of its position scores, and the length of tie keys."""

    ranking_id: int
    direction: int
    tie_bytes: int
    has_metadata: bool


class _Place(NamedTuple):
    """Whose place is looked for, with how many entries above and below."""

    user_id: str
    above: int
    below: int


class IndexReads:
    """Reads the rank indexes of one deployment; those of one moment that look for a place share a call."""

    def __init__(self, client: Valkey, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._window = Script("window.lua")
        self._lookup = Script("lookup.lua")
        self._find_places = Script("places.lua")
        self._places = GatheredLookups(self._ask_places, _weight_of, early_weight=_EARLY_WEIGHT)

    async def from_rank(self, ranking: Indexed, rank: int, count: int, own: str = "") -> Window:
        """Read `count` entries from `rank` (from 1) on, and the entry of `own`.

        Raises:
            IndexIncompleteError: as do all reads.
        """
        return await self._read_window(ranking, ["rank", rank, count, 0, own])

    async def after(self, ranking: Indexed, position: Position, count: int, own: str = "") -> Window:
        """Read `count` entries that stand behind `position`, whether or not an entry stands there now."""
        return await self._read_window(ranking, ["after", position.position_score, count, position.member, own])

    async def around(self, ranking: Indexed, user_id: str, above: int, below: int) -> Window:
        """Read the user's entry (`own`) with its neighbours; no entries if it has none.

        With whoever else looks for a place of this ranking at about this moment.
        """
        found = await self._places.find(ranking, _Place(user_id, above, below))
        if found is None:
            raise IndexIncompleteError
        return found

    def tell_place(
        self, ranking: Indexed, user_id: str, tell: "Callable[[Window | None], None]", above: int = 0, below: int = 0
    ) -> None:
        """Read as `around` does, and have it told once, never at once; None where that raises."""

        def tell_found(found: Window | None, error: BaseException | None) -> None:
            if error is None or isinstance(error, Exception):
                tell(found)
            # Else the loop ends, and there is nobody to do anything else.

        self._places.tell(ranking, _Place(user_id, above, below), tell_found)

    async def place(self, ranking: Indexed, user_id: str) -> Window:
        """Read the user's entry (`own`, and the only one), None if it has none; with others, as `around` does."""
        return await self.around(ranking, user_id, 0, 0)

    def _ask_places(
        self, ranking: Indexed, places: "Sequence[_Place]"
    ) -> "Coroutine[Any, Any, Mapping[_Place, Window | None]]":
        alone = [place for place in places if place.above == place.below == 0]
        others = [place for place in places if place.above or place.below]
        arguments: list[Argument] = [prefix_bytes(ranking), len(alone), *[place.user_id for place in alone]]
        for place in others:
            arguments += place
        reply = self._find_places.run(self._client, self._read_keys(ranking.ranking_id), arguments)
        return self._read_places(alone, others, reply)

    async def _read_places(
        self, alone: "Sequence[_Place]", others: "Sequence[_Place]", reply: Awaitable[Any]
    ) -> "Mapping[_Place, Window | None]":
        try:
            total, held, ranks, scores, kept, *found = await self._ready(reply)
        except IndexIncompleteError:
            # No exception that several would raise, each adding to its traceback.
            return dict.fromkeys([*alone, *others])
        windows = {place: _window_of(total, reply) for place, reply in zip(others, found, strict=True)}
        ranked = zip(ranks, scores, kept or itertools.repeat(None), strict=False)
        for place, holding in zip(alone, held, strict=True):
            windows[place] = _lone(total, place.user_id, holding, *next(ranked)) if holding else Window(total, None, [])
        return windows

    async def lookup(self, ranking: Indexed, user_ids: Sequence[str]) -> Window:
        """Read the entries of these users, in the order of ranks; those that are not ranked are left out."""
        total, rows = await self._run(self._lookup, ranking.ranking_id, [int(ranking.has_metadata), *user_ids])
        return Window(total, None, sorted(_entries(rows)))

    async def _read_window(self, ranking: Indexed, arguments: Sequence[Argument]) -> Window:
        reply = await self._run(self._window, ranking.ranking_id, [*arguments, prefix_bytes(ranking)])
        total, own, first, rows, kept = reply
        return Window(total, _entries(own)[0] if own else None, _stretch(first, rows, kept))

    async def _run(self, script: Script, ranking_id: int, arguments: Sequence[Argument]) -> Any:
        return await self._ready(script.run(self._client, self._read_keys(ranking_id), arguments))

    async def _ready(self, running: Awaitable[Any]) -> Any:
        """Return what a script read of a complete index."""
        try:
            ready, *reply = await running
        except (*OUT_OF_REACH, OutOfMemoryError, ResponseError) as error:
            raise IndexIncompleteError from error
        if not ready:
            raise IndexIncompleteError
        return reply

    def _keys(self, ranking_id: int) -> tuple[str, str, str, str]:
        name = f"{self._prefix}:{{r{ranking_id}}}"
        return f"{name}:ranks", f"{name}:holders", f"{name}:removed", f"{name}:metadata"

    def _read_keys(self, ranking_id: int) -> tuple[str, str, str]:
        ranks, holders, _, metadata = self._keys(ranking_id)
        return ranks, holders, metadata


def prefix_bytes(ranking: Indexed) -> int:
    """Return the length of members' prefixes for a ranking with metadata, whose users it is looked up by; else 0."""
    return ranking.tie_bytes + TIME_BYTES if ranking.has_metadata else 0


def _weight_of(place: _Place) -> int:
    return LOOK_UP_WEIGHT + place.above + place.below


def _window_of(total: int, reply: Any) -> Window:
    """Return one place of the reply of `places.lua`."""
    if not reply:
        return Window(total, None, [])
    rank, first, rows, kept = reply
    entries = _stretch(first, rows, kept)
    return Window(total, entries[rank - first], entries)


def _lone(total: int, user_id: str, holding: bytes, rank: int, score: bytes, kept: bytes | None) -> Window:
    """Return the place of one user of whom the hash holds this, without neighbours; `rank` counts from 0."""
    position = Position(_integer(score), holding[VERSION_BYTES:] + user_id.encode())
    entry = IndexedEntry(rank + 1, position, None if kept is None else kept.decode())
    return Window(total, entry, [entry])


def _stretch(first: int, rows: Sequence[bytes], kept: Sequence[bytes | None]) -> list[IndexedEntry]:
    """Return entries in a row from rank `first` on, of a flat reply of members and scores, and their metadata."""
    # Made by the type's own constructor, which takes a third of the time that a named tuple's does.
    count = len(rows) // 2
    positions = map(_new_position, zip(map(int, map(float, rows[1::2])), rows[::2], strict=True))
    texts = [None if text is None else text.decode() for text in kept] if kept else itertools.repeat(None, count)
    return list(map(_new_entry, zip(range(first, first + count), positions, texts, strict=True)))


_new_position: Callable[[tuple[int, bytes]], Position] = partial(tuple.__new__, Position)
_new_entry: Callable[[tuple[int, Position, str | None]], IndexedEntry] = partial(tuple.__new__, IndexedEntry)


def _entries(rows: Sequence[Any]) -> list[IndexedEntry]:
    """Return the entries of a flat reply of ranks, members, scores and metadata."""
    return [
        IndexedEntry(rows[i], Position(_integer(rows[i + 2]), rows[i + 1]), rows[i + 3].decode() or None)
        for i in range(0, len(rows), 4)
    ]


def _integer(score: bytes) -> int:
    # Scores are whole numbers within ±2^53, which a double holds exactly; large ones may arrive in exponent form.
    return int(float(score))

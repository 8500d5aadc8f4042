"""The last word on a run: every event and both boards are read back and held beside what was acknowledged."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from grandstand.lab.asker import Asker
from grandstand.lab.auditor import FINDINGS_MAX, Account, Books
from grandstand.lab.errors import BacklogError
from grandstand.lab.traffic import ID_BITS, Names

DRAIN_SECONDS = 120.0
RANKS_ASKED = 100
"""Players whose own rank is asked for and held beside their place on the whole board."""

_ID_MASK = (1 << ID_BITS) - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T", bound="_Page")


class Entry(msgspec.Struct, gc=False):
    """A place on a board as it is served."""

    rank: int
    user_id: str
    score: int
    achieved_at: datetime


class _Event(msgspec.Struct, gc=False):
    id: str


class _Page(msgspec.Struct):
    next_cursor: str | None


class _Events(_Page):
    events: list[_Event]


class _Entries(_Page):
    entries: list[Entry]
    total: int


class _Stream(msgspec.Struct):
    depth: int | None


class _Health(msgspec.Struct):
    stream: _Stream


class Audit:
    """What came of comparing. Counts of events; `wrong` counts findings of every kind, during the run and after it."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self.acknowledged = Books()
        self.unknown: set[int] = set()
        self.doubtful: set[str] = set()
        self.best: dict[str, tuple[int, int]] = {}
        self.cup: dict[str, tuple[int, int]] = {}
        self.statuses: dict[str, int] = {}
        self.errors = self.wrong = self.lost = self.doubled = 0
        self.findings: list[str] = []
        for account in accounts:
            self.acknowledged.add_all(Books(account.counts, account.sums))
            self.unknown.update(account.unknown)
            self.doubtful.update(account.doubtful)
            self.best |= account.best
            self.cup |= account.cup
            self.errors += account.errors
            self.wrong += account.wrong
            self.findings = [*self.findings, *account.findings][:FINDINGS_MAX]
            for name, count in account.statuses.items():
                self.statuses[name] = self.statuses.get(name, 0) + count

    @property
    def is_clean(self) -> bool:
        """Whether everything was as promised."""
        return not (self.wrong or self.lost or self.doubled)

    def find(self, finding: str) -> None:
        """Note something that is not as promised."""
        self.wrong += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)

    def close_events(self, stored: Books) -> None:
        """Compare what the server lists of the run with what it acknowledged (unknown ones were left out of both)."""
        for group, (mine, theirs) in enumerate(zip(self.acknowledged.counts, stored.counts, strict=True)):
            if mine > theirs:
                self.lost += mine - theirs
            elif theirs > mine:
                self.doubled += theirs - mine
            elif self.acknowledged.sums[group] != stored.sums[group]:
                self.lost += 1
                self.doubled += 1
        for kind, count in (("lost", self.lost), ("doubled", self.doubled)):
            if count:
                self.find(f"{count} events are {kind}")

    def close_board(self, entries: list[Entry], total: int) -> None:
        """Judge the whole board of best scores: who is on it, with what, in which order."""
        self._close_order("board", entries, total)
        found = {entry.user_id: (entry.score, _microseconds(entry.achieved_at)) for entry in entries}
        for user_id in self.best.keys() | found.keys():
            wanted, served = self.best.get(user_id), found.get(user_id)
            if wanted == served:
                continue
            if user_id in self.doubtful and served is not None and (wanted is None or served[0] >= wanted[0]):
                continue
            self.find(f"{user_id} has {served} (score, achieved_at) on the board instead of {wanted}")

    def close_cup(self, entries: list[Entry], total: int) -> None:
        """Judge the whole tournament: an event that counted twice, or not at all, is in the sum of its player."""
        self._close_order("tournament", entries, total)
        found = {entry.user_id: entry.score for entry in entries}
        for user_id in self.cup.keys() | found.keys():
            wanted, served = self.cup.get(user_id, (0, None))[1], found.get(user_id)
            if wanted != served and user_id not in self.doubtful:
                self.find(f"{user_id} has the sum {served} in the tournament instead of {wanted}")

    def close_rank(self, entry: Entry, rank: int | None) -> None:
        """Judge the rank that a player is told beside its place on the board."""
        if rank != entry.rank:
            self.find(f"{entry.user_id} is told the rank {rank} and stands at {entry.rank}")

    def _close_order(self, name: str, entries: list[Entry], total: int) -> None:
        if total != len(entries):
            self.find(f"the {name} says that it has {total} entries, and has {len(entries)}")
        before: tuple[int, datetime, bytes] | None = None
        for place, entry in enumerate(entries, 1):
            key = -entry.score, entry.achieved_at, entry.user_id.encode()
            if entry.rank != place:
                self.find(f"the {name} has rank {entry.rank} at place {place}")
            if before is not None and key <= before:
                self.find(f"the {name} has {entry.user_id} at rank {entry.rank}, behind who should be behind it")
            before = key


class Reader:
    """Reads a run back from a server. Opens a connection for each list, so that lists can be read side by side."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self._host, self._port, self._key = host, port, key

    async def wait_until_processed(self) -> None:
        """Wait until nothing is in the stream.

        Raises:
            BacklogError: it took too long.
        """
        deadline = time.monotonic() + DRAIN_SECONDS
        async with self._asker() as asker:
            while (await asker.get("/api/health", _Health)).stream.depth != 0:
                if time.monotonic() > deadline:
                    raise BacklogError(f"Events were not processed within {DRAIN_SECONDS:.0f} s.")
                await asyncio.sleep(0.05)

    async def read_all(self, names: Names, audit: Audit, say: Callable[[str], None]) -> None:
        """Read every event, the board, the tournament and some ranks, and close the audit with them.

        Raises:
            LabError: the server does not answer.
        """
        say(f"reading {audit.acknowledged.total:,} events back")
        stored = Books()
        await asyncio.gather(
            self._enter_events(names.game_type, stored, audit.unknown),
            self._enter_events(names.other_type, stored, audit.unknown),
        )
        audit.close_events(stored)
        say("reading the boards back")
        board = f"/api/leaderboards/{names.board}"
        entries = await self._close(f"{board}?limit=1000", audit.close_board)
        await self._close(f"/api/tournaments/{names.tournament}/leaderboard?limit=1000", audit.close_cup)
        async with self._asker() as asker:
            for entry in random.Random(len(entries)).sample(entries, min(RANKS_ASKED, len(entries))):  # noqa: S311
                answer = await asker.get(f"{board}/users/{entry.user_id}", dict[str, Any], missing=True)
                audit.close_rank(entry, answer.get("rank"))

    async def _enter_events(self, event_type: str, stored: Books, unknown: set[int]) -> None:
        async for page in self._pages(f"/api/events?event_type={event_type}&limit=1000", _Events):
            for event in page.events:
                event_id = int(event.id.replace("-", "")[-15:], 16) & _ID_MASK
                if event_id not in unknown:
                    stored.add(event_id)

    async def _close(self, path: str, close: Callable[[list[Entry], int], None]) -> list[Entry]:
        entries: list[Entry] = []
        total = 0
        async for page in self._pages(path, _Entries):
            entries += page.entries
            total = page.total
        close(entries, total)
        return entries

    async def _pages(self, path: str, kind: type[T]) -> AsyncIterator[T]:
        async with self._asker() as asker:
            cursor: str | None = ""
            while cursor is not None:
                page = await asker.get(path + (f"&cursor={quote(cursor)}" if cursor else ""), kind)
                yield page
                cursor = page.next_cursor

    def _asker(self) -> Asker:
        return Asker(self._host, self._port, self._key)


def _microseconds(moment: datetime) -> int:
    between = moment - _EPOCH
    return (between.days * 86_400 + between.seconds) * 1_000_000 + between.microseconds

"""A deployment as the model sees it: boards with their periods, resets, removals, archives and replays."""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from grandstand.domain.errors import NotFoundError
from grandstand.operations.find_ranking import Part
from grandstand.operations.read_leaderboard import LeaderboardReader
from tests.support import model
from tests.support.model import NOTHING, Row

Run = tuple[datetime, datetime | None]
"""A period: when it starts and ends."""


@dataclass(frozen=True)
class Counted:
    """An event that counts on a board, and the period it counts in."""

    event: Any
    received_at: datetime
    run: Run


@dataclass
class Board:
    """One board. `archived` holds the definition and the events of each archived period as they were then.

    What occurred before `began_at`, the end of the newest archive when the rule came into force, counts no more."""

    key: str
    definition: Any
    leaderboard_id: int
    resets: list[datetime] = field(default_factory=list)
    began_at: datetime = model.FIRST
    counted: list[Counted] = field(default_factory=list)
    opened: set[Run] = field(default_factory=set)
    removed: dict[str, datetime] = field(default_factory=dict)
    archived: dict[Run, tuple[Any, list[Any]]] = field(default_factory=dict)
    buckets: dict[Run, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))

    def take(self, event: Any, received_at: datetime) -> None:
        """An event reaches the board: it counts unless it is late, removed, or worth nothing here."""
        payload = json.loads(bytes(event.payload))
        if event.event_type == "grandstand.score" and payload["leaderboard_id"] != self.leaderboard_id:
            return
        if model.value_of(self.definition, event.event_type, payload) is None:
            return
        if event.occurred_at < self.began_at:
            return
        run = self.run_at(event.occurred_at)
        is_removed = event.user_id in self.removed and received_at <= self.removed[event.user_id]
        if not is_removed and not model.is_late(run[1], received_at) and run not in self.archived:
            self.counted.append(Counted(event, received_at, run))
            self.opened.add(run)

    def run_at(self, moment: datetime) -> Run:
        """The period that is, or would be, in force at a moment."""
        cuts = self.resets if self.began_at == model.FIRST else [*self.resets, self.began_at]
        return model.period_of(self.definition, moment, cuts)

    def events(self, run: Run) -> list[Any]:
        return [each.event for each in self.counted if each.run == run]

    def reset(self, moment: datetime) -> None:
        def cut(run: Run) -> Run:
            return (run[0], moment) if run[0] < moment and (run[1] is None or moment < run[1]) else run

        self.counted = [Counted(each.event, each.received_at, cut(each.run)) for each in self.counted]
        self.opened = {cut(run) for run in self.opened}
        placed = {cut(run): members for run, members in self.buckets.items()}
        self.buckets.clear()
        self.buckets.update(placed)
        self.resets.append(moment)

    def remove(self, user_id: str, moment: datetime) -> bool:
        """Whether there was anything to remove."""
        left = [each for each in self.counted if each.event.user_id != user_id]
        if len(left) == len(self.counted):
            return False
        self.counted = left
        self.removed[user_id] = moment
        return True

    def close(self, ended_by: datetime) -> None:
        """Archive every period that had ended by then."""
        for run in [run for run in self.opened if run[1] is not None and run[1] <= ended_by]:
            self.archived[run] = (self.definition, self.events(run))
            self.counted = [each for each in self.counted if each.run != run]
            self.opened.remove(run)

    def begin_anew(self, definition: Any, stored: Iterable[tuple[Any, datetime]]) -> None:
        """Another rule: what is not archived is made of these events."""
        self.definition, self.counted, self.opened = definition, [], set()
        self.began_at = max((end for _, end in self.archived if end is not None), default=model.FIRST)
        for run in [run for run in self.buckets if run not in self.archived]:
            del self.buckets[run]
        for event, received_at in stored:
            self.take(event, received_at)

    def rows(self, run: Run, segment: str | None = None) -> list[Row]:
        if run not in self.archived:
            return model.rows(self.definition, self.events(run), segment)
        # Whatever has become of the board, its archives stay what they were.
        return model.rows(*self.archived[run], segment)

    def definition_of(self, run: Run) -> Any:
        """The definition that a period is read by."""
        return self.archived[run][0] if run in self.archived else self.definition

    def segments(self, run: Run) -> set[str]:
        events = self.archived[run][1] if run in self.archived else self.events(run)
        definition = self.definition_of(run)
        found = (model.segment_of(definition, json.loads(bytes(event.payload))) for event in events)
        return {segment for segment in found if segment is not None}


@dataclass
class World:
    """Every board, and every event that was stored, in the order in which it was."""

    boards: dict[str, Board] = field(default_factory=dict)
    stored: dict[str, tuple[Any, datetime]] = field(default_factory=dict)

    def store(self, event: Any, received_at: datetime) -> None:
        """An event is applied for the first time, or again."""
        if str(event.id) not in self.stored:
            self.stored[str(event.id)] = (event, received_at)
            for board in self.boards.values():
                board.take(event, received_at)


def name_of(start: datetime) -> str:
    return (
        "all_time"
        if start == model.FIRST
        else f"{start:%Y%m%dT%H%M%S}" + (f".{start:%f}Z" if start.microsecond else "Z")
    )


def row_of(entry: Any) -> Row:
    """What a reader gives of an entry, in the model's form."""
    return Row(
        entry.rank,
        entry.user_id,
        entry.score,
        entry.achieved_at,
        NOTHING if entry.metadata is msgspec.UNSET else entry.metadata,
        NOTHING if entry.tier is msgspec.UNSET else entry.tier,
    )


class Comparison:
    """Compares every kind of read of one board with the model."""

    def __init__(self, reader: LeaderboardReader, board: Board, now: datetime, randomly: Any, users: list[str]) -> None:
        self._reader = reader
        self._board = board
        self._now = now
        self._randomly = randomly
        self._users = users

    async def run(self) -> int:
        """Compare the running period, some of the ended ones, and the list of these; return how many reads it took."""
        self.reads = 0
        board = self._board
        runs = sorted([*board.archived, *board.opened])
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(runs)), "no moment is in two periods"
        ended = [run for run in runs if run[1] is not None and run[1] <= self._now]
        current = board.run_at(self._now)
        await self._part(Part(), current)
        assert await self._reader.page(board.key, part=Part(period=name_of(current[0])))
        for run in self._randomly.sample(ended, min(len(ended), 2)):
            await self._part(Part(period=name_of(run[0])), run)
        await self._periods(list(reversed(ended)))
        return self.reads

    async def _periods(self, ended: list[Run]) -> None:
        found: list[Any] = []
        cursor, limit = None, self._randomly.randint(1, 4)
        while True:
            page = await self._reader.periods(self._board.key, limit=limit, cursor=cursor)
            self.reads += 1
            found += page.periods
            cursor = page.next_cursor
            if cursor is None:
                break
        assert [(each.id, each.started_at, each.ended_at, each.total) for each in found] == [
            (name_of(start), None if start == model.FIRST else start, end, len(self._board.rows((start, end))))
            for start, end in ended
        ]

    async def _part(self, part: Part, run: Run) -> None:
        try:
            await self._compare_part(part, run)
        except Exception as error:
            board = self._board
            error.add_note(f"{board.key} {part} {name_of(run[0])} until {run[1]}: {board.definition}")
            error.add_note(f"archived under {board.archived[run][0]}" if run in board.archived else "not archived")
            error.add_note("\n".join(map(str, board.rows(run))))
            raise

    async def _compare_part(self, part: Part, run: Run) -> None:
        rows = self._board.rows(run)
        await self._reads(part, run, rows)
        definition = self._board.definition_of(run)
        if definition.segment_by is not None:
            for segment in sorted({*self._board.segments(run), "nobody's"}):
                found = self._board.rows(run, segment)
                await self._reads(Part(period=part.period, segment=segment), run, found)
        if definition.bucket_size is not None:
            await self._buckets(part, run, rows)

    async def _reads(self, part: Part, run: Run, rows: list[Row]) -> None:
        key, reader, randomly = self._board.key, self._reader, self._randomly
        total, by_user = len(rows), {row.user_id: row for row in rows}
        own = randomly.choice(self._users)
        limit = randomly.choice([1, 2, 3, 5, 100])
        page = await reader.page(key, limit=limit, user_id=own, part=part)
        assert (page.leaderboard, page.period, page.period_ends_at, page.total) == (key, name_of(run[0]), run[1], total)
        assert (None if page.user is None else row_of(page.user)) == by_user.get(own)
        found = [row_of(entry) for entry in page.entries]
        while page.next_cursor is not None:
            page = await reader.page(key, limit=limit, cursor=page.next_cursor, part=part)
            self.reads += 1
            assert page.entries
            found += [row_of(entry) for entry in page.entries]
        assert found == rows
        rank = randomly.randint(1, total + 2)
        page = await reader.page(key, from_rank=rank, limit=limit, part=part)
        assert [row_of(entry) for entry in page.entries] == rows[rank - 1 : rank - 1 + limit]
        for user_id in dict.fromkeys([own, *(row.user_id for row in randomly.sample(rows, min(total, 2)))]):
            await self._user(part, run, rows, by_user.get(user_id), user_id)
        asked = randomly.sample(self._users, randomly.randint(0, len(self._users)))
        lookup = await reader.lookup(key, asked, part=part)
        assert [row_of(entry) for entry in lookup.entries] == [row for row in rows if row.user_id in asked]
        assert lookup.not_ranked == [user_id for user_id in asked if user_id not in by_user]
        assert lookup.total == total
        self.reads += 3

    async def _user(self, part: Part, run: Run, rows: list[Row], row: Row | None, user_id: str) -> None:
        key, reader = self._board.key, self._reader
        above, below = self._randomly.choice([(0, 0), (1, 1), (5, 5), (0, 3), (2, 0)])
        self.reads += 2
        if row is None:
            for call in (reader.user(key, user_id, part=part), reader.nearby(key, user_id, part=part)):
                try:
                    await call
                except NotFoundError as error:
                    assert error.code == "not_ranked"  # noqa: PT017
                    continue
                raise AssertionError(f"{user_id!r} should not be ranked")
            return
        found = await reader.user(key, user_id, part=part)
        assert row_of(found) == row
        assert (found.total, found.percentile) == (len(rows), model.percentile(row.rank, len(rows)))
        assert (found.period, found.period_ends_at) == (name_of(run[0]), run[1])
        near = await reader.nearby(key, user_id, above=above, below=below, part=part)
        assert [row_of(entry) for entry in near.entries] == rows[max(0, row.rank - 1 - above) : row.rank + below]
        assert row_of(near.user) == row

    async def _buckets(self, part: Part, run: Run, rows: list[Row]) -> None:
        """Whoever is placed stays, no bucket is too large, and ranks inside are the order of the whole board."""
        placed = self._board.buckets[run]
        for row in rows:
            bucket = (await self._reader.user(self._board.key, row.user_id, part=part)).bucket
            assert placed.setdefault(row.user_id, bucket) == bucket, "a player was moved to another bucket"
        members: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            members[placed[row.user_id]].append(row)
        definition = self._board.definition_of(run)
        size = definition.bucket_size
        counts = [list(placed.values()).count(bucket) for bucket in set(placed.values())]
        assert size is None or max(counts, default=0) <= size
        for bucket, inside in members.items():
            expected = [
                row._replace(rank=rank, tier=model.tier_of(definition, rank, row.score, len(inside)))
                for rank, row in enumerate(inside, start=1)
            ]
            await self._reads(Part(period=part.period, bucket=str(bucket)), run, expected)
            own = await self._reader.page(
                self._board.key, user_id=inside[0].user_id, part=Part(period=part.period, bucket="own")
            )
            assert [row_of(entry) for entry in own.entries] == expected
            assert own.bucket == bucket

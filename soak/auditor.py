"""Audits the end state: what is stored, what every board serves, and what the database holds, against the model."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from soak.boards import BOARDS, SEASON
from soak.client import Client
from soak.cups import Cup
from soak.findings import Findings, Kind
from soak.happenings import DIRECT, Event
from soak.inspection import Inspector, Stored
from soak.model import Model, Ranking, Standing, board_of
from soak.periods import name_of
from soak.weather import Weather
from soak.workload import Reset

PAGE_SIZES = (37, 100, 1000)
CACHE_SECONDS = 0.25
"""A served page may be older than the last event by the read cache's age."""


@dataclass
class Auditor:
    """Audits one deployment after each run. `open` are the events whose fate is not known yet."""

    client: Client
    inspector: Inspector
    model: Model = field(default_factory=Model)
    open: dict[str, Event] = field(default_factory=dict)
    cups: dict[str, Cup] = field(default_factory=dict)
    weather: Weather = field(default_factory=Weather)
    stored: int = 0
    excused: set[str] = field(default_factory=set)
    """Acknowledged events that went with a stream, and whose loss was told."""
    resets: list[list[Reset]] = field(default_factory=list)
    """Resets by hand that were asked for, by run."""
    _gone: set[str] = field(default_factory=set)

    async def audit(self, findings: Findings, dice: random.Random) -> None:
        """Compare everything, once nothing is under way: the workload has its replies and the stream is empty."""
        await self._settle_resets(findings)
        await self._settle_outlaws(findings)
        if await self._settle(findings):
            # Entries and boards change while they would be compared.
            return
        self.model.settle_outlaws()
        await asyncio.sleep(CACHE_SECONDS)
        archived = await self._compare_entries(findings)
        for ranking in self.model.rankings():
            # What is archived stays as it is when a player is banned later.
            if self.model.is_blurred(ranking) or (ranking in archived and ranking.key != SEASON):
                continue
            await self._compare_board(ranking, findings, dice.choice(PAGE_SIZES))

    def excuse(self, gone: bytes) -> None:
        """Take in what was in a stream that is gone; an event that was in it may be missing."""
        if gone:
            self._gone |= {event_id for event_id in self.open if event_id.encode() in gone}

    async def _settle_resets(self, findings: Findings) -> None:
        """Look up when boards were reset: as often as was answered, and besides as often as nobody heard at most."""
        asked = [reset for run in self.resets for reset in run]
        least, unheard = sum(reset.answered for reset in asked), sum(reset.unheard for reset in asked)
        for key, moments in await self.inspector.fetch("resets", [board.key for board in BOARDS]):
            if key == SEASON and not least <= len(moments) <= least + unheard:
                kind: Kind = "lost" if len(moments) < least else "doubled"
                findings.add(kind, f"{key} was reset {len(moments)} times, {least} were answered, {unheard} unheard")
            self.model.learn_resets(key, moments)

    async def _settle_outlaws(self, findings: Findings) -> None:
        outlaws = self.model.outlaws
        rows = await self.inspector.fetch("bans", list(outlaws.each))
        found = {user_id: (banned_at, unbanned_at) for user_id, banned_at, unbanned_at in rows}
        for user_id in outlaws.each:
            outlaws.settle(user_id, *found.get(user_id, (None, None)), time.monotonic(), findings)

    async def _settle(self, findings: Findings) -> bool:
        """Look up the fate of every open event. What nobody acknowledged may be stored or not, but not twice.

        Returns whether some are still to be processed.
        """
        # Before what is stored: what is processed between the two looks is found by one of them.
        waiting = await self.inspector.waiting_texts()
        rows = await self.inspector.events(list(self.open))
        copies = Counter(row.event_id for row in rows)
        held = {row.event_id: row for row in rows}
        for event_id, event in list(self.open.items()):
            row = held.get(event_id)
            if row is None:
                if event_id in self._gone:
                    # It stays open: a worker that had it in its hands may store it yet.
                    self.excused |= {event_id} if event.is_acknowledged else set()
                elif event.is_acknowledged and event_id.encode() in waiting:
                    findings.add("not_healed", f"not processed in time: {event.event_type} {event_id}")
                elif event.is_acknowledged:
                    findings.add("lost", f"acknowledged and not stored: {event.event_type} {event_id}")
                continue
            if copies[event_id] > 1:
                findings.add("doubled", f"stored {copies[event_id]} times: {event_id}")
            self._check_content(event, row, findings)
            self.excused.discard(event_id)
            event.occurred_at, event.is_stored = row.occurred_at, True
            self.model.settle(event, row.received_at)
            cup = self.cups.get(event.payload.get("tournament_id", ""))
            if cup is not None:
                cup.take(event, row.received_at)
            self.stored += 1
            del self.open[event_id]
        ((count,),) = await self.inspector.fetch("count_events")
        if count != self.stored:
            kind: Kind = "doubled" if count > self.stored else "lost"
            findings.add(kind, f"{count} events are stored, and {self.stored} were sent")
        return bool(waiting)

    def _check_content(self, event: Event, row: Stored, findings: Findings) -> None:
        payload = json.loads(row.payload)
        if event.event_type == DIRECT:
            payload.pop("leaderboard_id", None)
        elif row.occurred_at != event.occurred_at:
            findings.add("lost", f"stored with another time: {event.event_id}")
        if (row.user_id, row.event_type, payload) != (event.user_id, event.event_type, event.payload):
            findings.add("lost", f"stored with other content: {event.event_id}: {row}")

    async def _compare_entries(self, findings: Findings) -> set[Ranking]:
        """Compare what PostgreSQL holds: a sum or a count that is too large counted something twice.

        Returns those rankings that are archived by now, of which there are no entries to compare.
        """
        keys = [board.key for board in BOARDS]
        found: dict[Ranking, dict[str, tuple[int, datetime]]] = {ranking: {} for ranking in self.model.rankings()}
        for key, part, started_at, *entry in await self.inspector.fetch("entries", keys):
            user_id, score, achieved_at = entry
            ranking = Ranking(key, part.removeprefix("s:"), name_of(started_at))
            found.setdefault(ranking, {})[user_id] = (score, achieved_at)
        archived = {
            Ranking(key, part.removeprefix("s:"), name_of(started_at))
            for key, part, started_at in await self.inspector.fetch("archived", keys)
        }
        for ranking, entries in found.items():
            if ranking in archived or self.model.is_blurred(ranking):
                continue
            expected = {line.user_id: (line.score, line.achieved_at) for line in self.model.standings(ranking)}
            for user_id in entries.keys() | expected.keys():
                held, due = entries.get(user_id), expected.get(user_id)
                if held != due:
                    findings.add(_blame(ranking, held, due), f"entry of {user_id} on {ranking}: {held}, due is {due}")
        return archived

    async def _compare_board(self, ranking: Ranking, findings: Findings, page_size: int) -> None:
        expected = self.model.standings(ranking)
        served, total = await self._read_board(ranking, findings, page_size)
        if served == expected and total == len(expected):
            return
        differing = [pair for pair in _side_by_side(served, expected) if pair[0] != pair[1]]
        findings.add(
            "wrong_rank",
            f"{ranking} serves {len(served)} of {total}, due are {len(expected)}; {len(differing)} lines differ: "
            f"{differing[:3]}",
        )

    async def _read_board(self, ranking: Ranking, findings: Findings, page_size: int) -> tuple[list[Standing], int]:
        """Read a whole board page by page."""
        key, segment, period = ranking
        query: dict[str, Any] = {"limit": page_size} | ({"segment": segment} if segment else {})
        if board_of(ranking).has_periods:
            query["period"] = period
        lines: list[Standing] = []
        total = 0
        while True:
            reply = await self.client.ask("GET", f"/api/leaderboards/{key}", **query)
            if reply.status != 200:
                findings.add("wrong_reply", f"{ranking} cannot be read: {reply.status} {reply.error} {reply.body}")
                return lines, total
            total = reply.body["total"]
            lines += [
                Standing(entry["rank"], entry["user_id"], entry["score"], datetime.fromisoformat(entry["achieved_at"]))
                for entry in reply.body["entries"]
            ]
            if reply.body["next_cursor"] is None:
                return lines, total
            query["cursor"] = reply.body["next_cursor"]


def _blame(ranking: Ranking, held: tuple[int, datetime] | None, due: tuple[int, datetime] | None) -> Kind:
    if due is None:
        return "doubled"
    is_added_up = board_of(ranking).operator in ("sum", "count")
    return "doubled" if held is not None and is_added_up and abs(held[0]) > abs(due[0]) else "lost"


def _side_by_side(
    served: list[Standing], expected: list[Standing]
) -> Iterable[tuple[Standing | None, Standing | None]]:
    for place in range(max(len(served), len(expected))):
        yield (
            served[place] if place < len(served) else None,
            expected[place] if place < len(expected) else None,
        )

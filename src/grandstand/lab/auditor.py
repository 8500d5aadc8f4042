"""Judges every reply as it comes, and everything stored in the end, with books of its own.

The books hold no id: for each of 65,536 groups of ids (by their last bits) a count and a sum of the ids. When both
agree with what the server lists, it holds exactly the acknowledged events, each once; where they differ, the counts
tell how many are lost or doubled. Events whose acknowledgement never came may be there or not.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from grandstand.lab.traffic import Batch, Read, Traffic

GROUPS = 65_536
_FINDINGS_MAX = 20


class _Accepted(msgspec.Struct):
    accepted: int
    rejected: list[Any]


class _Entry(msgspec.Struct):
    rank: int
    user_id: str
    score: int


class _Page(msgspec.Struct):
    total: int
    entries: list[_Entry]
    next_cursor: str | None = None


class _Rank(msgspec.Struct):
    rank: int
    user_id: str
    score: int
    total: int


_decode_accepted = msgspec.json.Decoder(_Accepted).decode
_decode_page = msgspec.json.Decoder(_Page).decode
_decode_rank = msgspec.json.Decoder(_Rank).decode


@dataclass
class Books:
    """Counts and sums of ids by group."""

    counts: list[int] = field(default_factory=lambda: [0] * GROUPS)
    sums: list[int] = field(default_factory=lambda: [0] * GROUPS)

    def add(self, event_id: int) -> None:
        """Enter one id."""
        group = event_id % GROUPS
        self.counts[group] += 1
        self.sums[group] += event_id

    @property
    def total(self) -> int:
        """How many were entered."""
        return sum(self.counts)


@dataclass
class Auditor:
    """The judge of one run."""

    traffic: Traffic
    acknowledged: Books = field(default_factory=Books)
    unknown: dict[int, None] = field(default_factory=dict)
    """Ids of events that were sent and never answered for."""
    doubtful: set[str] = field(default_factory=set)
    """Players of whom such an event was a game."""
    best: dict[str, int] = field(default_factory=dict)
    """The best acknowledged score of each player."""
    seen: dict[str, int] = field(default_factory=dict)
    """The best score that was served of each player: it never goes down."""
    statuses: Counter[str] = field(default_factory=Counter)
    errors: int = 0
    wrong: int = 0
    findings: list[str] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether everything was as promised."""
        return not (self.wrong or self.lost or self.doubled)

    def find(self, finding: str) -> None:
        """Note something that is not as promised."""
        self.wrong += 1
        if len(self.findings) < _FINDINGS_MAX:
            self.findings.append(finding)

    def judge_batch(self, batch: Batch, status: int, body: bytes) -> bool:
        """Judge the reply to a batch; return whether its events were acknowledged."""
        self.statuses[f"events {status}"] += 1
        if status == 202:
            answer = _decode_accepted(body)
            if answer.accepted != len(batch.event_ids) or answer.rejected:
                self.find(f"a valid batch of {len(batch.event_ids)}: {body[:200]!r}")
            for event_id in batch.event_ids:
                self.acknowledged.add(event_id)
            if batch.score is not None:
                self.best[batch.user_id] = max(batch.score, self.best.get(batch.user_id, batch.score))
            return True
        self.errors += 1
        if status in (0, 500, 502, 504):
            self.unknown.update(dict.fromkeys(batch.event_ids))
            if batch.score is not None:
                self.doubtful.add(batch.user_id)
        return False

    def judge_read(self, read: Read, status: int, body: bytes) -> int | None:
        """Judge the answer to a question; return the player's score when it was asked for and is there."""
        self.statuses[f"{read.kind} {status}"] += 1
        if status == 404 and read.kind in ("rank", "nearby") and read.least < 0:
            return None
        if status != 200:
            self.errors += 1
            return None
        match read.kind:
            case "rank":
                found = _decode_rank(body)
                if found.user_id != read.user_id or not 1 <= found.rank <= found.total:
                    self.find(f"the rank of {read.user_id}: {body[:200]!r}")
                self._see(found.user_id, found.score, read.least)
                return found.score
            case "top" | "nearby" | "tournament":
                self._judge_page(read, _decode_page(body))
        return None

    def _judge_page(self, read: Read, page: _Page) -> None:
        ranks = [entry.rank for entry in page.entries]
        scores = [entry.score for entry in page.entries]
        if ranks != list(range(ranks[0], ranks[0] + len(ranks))) if ranks else False:
            self.find(f"{read.kind}: ranks with gaps: {ranks}")
        if scores != sorted(scores, reverse=True):
            self.find(f"{read.kind}: scores out of order: {scores}")
        if read.kind == "nearby" and read.user_id not in {entry.user_id for entry in page.entries}:
            self.find(f"nearby: {read.user_id} is not in it")

    def _see(self, user_id: str, score: int, least: int) -> None:
        before = self.seen.get(user_id)
        if before is not None and score < before and least >= before:
            self.find(f"the score of {user_id} went down from {before} to {score}")
        if before is None or score > before:
            self.seen[user_id] = score

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
        for kind in ("lost", "doubled"):
            if count := getattr(self, kind):
                self.find(f"{count} events are {kind}")

    def close_board(self, entries: dict[str, int]) -> None:
        """Compare the whole board with the best acknowledged score of each player."""
        for user_id in self.best.keys() | entries.keys():
            wanted, found = self.best.get(user_id), entries.get(user_id)
            is_possible = wanted == found or (user_id in self.doubtful and found is not None and found >= (wanted or 0))
            if not is_possible:
                self.find(f"{user_id} has {found} on the board instead of {wanted}")

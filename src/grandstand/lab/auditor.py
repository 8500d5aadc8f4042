"""Judges every reply as it comes, with books of its own. What they say in the end is an `Account`; `audit.py` reads on.

The books hold no id: for each of 65,536 groups of requests a count of their events and a sum of the ids (of their
random bits). When both agree with what the server lists, it holds exactly the acknowledged events, each once; where
they differ, the counts tell how many are lost or doubled. Events whose acknowledgement never came may be there or not.
"""

import time
from array import array
from collections import Counter
from itertools import accumulate
from typing import Any

import msgspec

from grandstand.lab.load_model import BATCH_EVENTS_MAX
from grandstand.lab.traffic import PLACE_BITS, PLACE_CODES, Batch, Read

GROUPS = 65_536
_SUM_MASK = (1 << 63) - 1
FINDINGS_MAX = 20
STALE_SECONDS = 1.0
"""How old an answer may be beside one that was given before: HTTP processes cache for a part of this."""


class _Accepted(msgspec.Struct):
    accepted: int
    rejected: list[Any]


class _Entry(msgspec.Struct, gc=False):
    rank: int
    user_id: str
    score: int


class _Page(msgspec.Struct):
    total: int
    entries: list[_Entry]


class _Rank(msgspec.Struct, gc=False):
    rank: int
    user_id: str
    score: int
    total: int


class _Prizes(msgspec.Struct):
    prizes: list[Any]


_decode_accepted = msgspec.json.Decoder(_Accepted).decode
_decode_page = msgspec.json.Decoder(_Page).decode
_decode_rank = msgspec.json.Decoder(_Rank).decode
_decode_prizes = msgspec.json.Decoder(_Prizes).decode


_CODE_SUMS = tuple(accumulate(PLACE_CODES, initial=0))
_ALL_ACCEPTED = tuple(b'{"accepted":%d,"rejected":[]}' % count for count in range(BATCH_EVENTS_MAX + 1))
"""The usual answers to batches by their events: what is these bytes needs no second look."""


class Books:
    """Counts and sums of ids by group: all ids of a request are in one."""

    def __init__(self, counts: bytes = b"", sums: bytes = b"") -> None:
        self.counts, self.sums = array("q", counts or bytes(8 * GROUPS)), array("q", sums or bytes(8 * GROUPS))

    def add(self, event_id: int) -> None:
        """Enter one id."""
        self._enter((event_id >> PLACE_BITS) % GROUPS, 1, event_id)

    def add_batch(self, batch: Batch) -> None:
        """Enter all ids of a request."""
        count, number = batch.events, batch.number
        self._enter(number % GROUPS, count, (number << PLACE_BITS) * count + _CODE_SUMS[count])

    def _enter(self, group: int, count: int, total: int) -> None:
        self.counts[group] += count
        self.sums[group] = (self.sums[group] + total) & _SUM_MASK

    def add_all(self, other: "Books") -> None:
        """Enter what other books hold."""
        for group, count in enumerate(other.counts):
            if count:
                self.counts[group] += count
                self.sums[group] = (self.sums[group] + other.sums[group]) & _SUM_MASK

    @property
    def total(self) -> int:
        """How many were entered."""
        return sum(self.counts)


class Account(msgspec.Struct):
    """What one auditor knows in the end: of players that no other knows of."""

    counts: bytes
    sums: bytes
    unknown: list[int]
    """Ids of events that were sent and never answered for."""
    doubtful: list[str]
    """Players of whom such an event was a game."""
    best: dict[str, tuple[int, int]]
    """The best acknowledged score of each player, and when it was reached (Unix time in microseconds)."""
    cup: dict[str, tuple[int, int]]
    """Games that count in the tournament and the sum of their scores, of each player."""
    statuses: dict[str, int]
    errors: int
    wrong: int
    findings: list[str]


class Auditor:
    """The judge of one generator's replies."""

    def __init__(self) -> None:
        self.acknowledged = Books()
        self.unknown: list[int] = []
        self.doubtful: set[str] = set()
        self.best: dict[str, tuple[int, int]] = {}
        self.cup: dict[str, tuple[int, int]] = {}
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.errors = 0
        self.wrong = 0
        self.findings: list[str] = []
        self._seen: dict[str, tuple[int, float]] = {}
        self._right: dict[str, bytes] = {}

    def account(self) -> Account:
        """Return what is known."""
        return Account(
            self.acknowledged.counts.tobytes(), self.acknowledged.sums.tobytes(), self.unknown, sorted(self.doubtful),
            self.best, self.cup, {f"{kind} {status}": count for (kind, status), count in self.statuses.items()},
            self.errors, self.wrong, self.findings,
        )  # fmt: skip

    def find(self, finding: str) -> None:
        """Note something that is not as promised."""
        self.wrong += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)

    def least_score(self, user_id: str) -> int | None:
        """Return what a player's score is at least from now on: what was served of it a while ago."""
        seen = self._seen.get(user_id)
        return seen[0] if seen is not None and time.monotonic() - seen[1] > STALE_SECONDS else None

    def judge_batch(self, batch: Batch, status: int, body: bytes, *, again: bool = False) -> bool:
        """Judge the reply to a batch; return whether its events were acknowledged.

        `again` is for one that had been acknowledged before: it must be accepted and change nothing.
        """
        self.statuses["events", status] += 1
        if status == 202:
            if body != _ALL_ACCEPTED[batch.events]:
                self._judge_accepted(batch, body)
            if not again:
                self._enter(batch)
            return True
        self.errors += 1
        # A 503 may come from waiting too long for a stream that has them all the same.
        if not again and (status == 0 or status >= 500):
            self.unknown.extend(batch.event_ids)
            if batch.score is not None:
                self.doubtful.add(batch.user_id)
        return False

    def _judge_accepted(self, batch: Batch, body: bytes) -> None:
        try:
            answer = _decode_accepted(body)
            is_right = answer.accepted == batch.events and not answer.rejected
        except msgspec.DecodeError:
            is_right = False
        if not is_right:
            self.find(f"a valid batch of {batch.events}: {body[:200]!r}")

    def _enter(self, batch: Batch) -> None:
        self.acknowledged.add_batch(batch)
        user_id, score = batch.user_id, batch.score
        if score is None:
            return
        best = self.best.get(user_id)
        if best is None or (score, -batch.occurred_at_us) > (best[0], -best[1]):
            self.best[user_id] = score, batch.occurred_at_us
        if batch.cup_games:
            games, total = self.cup.get(user_id, (0, 0))
            self.cup[user_id] = games + batch.cup_games, total + batch.cup_score

    def judge_read(self, read: Read, status: int, body: bytes) -> int | None:
        """Judge the answer to a question; return the player's score when it was asked for and is there."""
        kind = read.kind
        self.statuses[kind, status] += 1
        if status != 200:
            if status != 404 or kind not in ("rank", "nearby"):
                self.errors += 1
            elif read.least is not None:
                self.find(f"{kind}: {read.user_id} had the score {read.least} and has no rank")
            return None
        try:
            return self._judge_found(read, body)
        except msgspec.DecodeError:
            self.find(f"the answer to {kind} of {read.user_id}: {body[:200]!r}")
            return None

    def _judge_found(self, read: Read, body: bytes) -> int | None:
        kind = read.kind
        if kind == "rank":
            found = _decode_rank(body)
            if found.user_id != read.user_id or not 1 <= found.rank <= found.total:
                self.find(f"the rank of {read.user_id}: {body[:200]!r}")
            self._see(found.user_id, found.score, read.least)
            return found.score
        # The same bytes as before need no second look; many players get the same page, or no prizes.
        if self._right.get(kind) == body:
            return None
        if kind == "prizes":
            if _decode_prizes(body).prizes:
                self.find(f"{read.user_id} has prizes of no tournament that ended: {body[:200]!r}")
                return None
        else:
            self._judge_page(read, _decode_page(body))
        if kind != "nearby":
            self._right[kind] = body
        return None

    def _judge_page(self, read: Read, page: _Page) -> None:
        ranks = [entry.rank for entry in page.entries]
        scores = [entry.score for entry in page.entries]
        if ranks and ranks != list(range(ranks[0], ranks[0] + len(ranks))):
            self.find(f"{read.kind}: ranks with gaps: {ranks}")
        if scores != sorted(scores, reverse=True):
            self.find(f"{read.kind}: scores out of order: {scores}")
        if read.kind == "nearby":
            if read.user_id not in {entry.user_id for entry in page.entries}:
                self.find(f"nearby: {read.user_id} is not in it")
        elif ranks and ranks[0] != 1:
            self.find(f"{read.kind}: the first rank is {ranks[0]}")

    def _see(self, user_id: str, score: int, least: int | None) -> None:
        if least is not None and score < least:
            self.find(f"the score of {user_id} went down from {least} to {score}")
        seen = self._seen.get(user_id)
        if seen is None or score > seen[0]:
            self._seen[user_id] = score, time.monotonic()

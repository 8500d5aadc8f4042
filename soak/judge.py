"""Judges every reply at the moment it arrives: what the contract and the events sent so far allow, and nothing else."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from soak.client import Reply
from soak.cups import Claim
from soak.findings import Findings
from soak.happenings import Event
from soak.model import Model, Ranking, board_of
from soak.weather import Weather
from soak.workload import Read, Write


@dataclass
class Judge:
    """Judges the replies of one run. `open` holds the events whose fate the auditor will look up, by id."""

    model: Model
    weather: Weather
    findings: Findings
    open: dict[str, Event]
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    replies: int = 0
    failures: int = 0

    def about_to_send(self, request: Write | Read | Claim) -> None:
        """Hear of a request before its first byte leaves: from now on its events may count."""
        if isinstance(request, Write):
            for event in request.events:
                if not event.is_stored and event.event_id not in self.open:
                    self.open[event.event_id] = event
                    self.model.send(event)

    def replied(self, request: Write | Read | Claim, reply: Reply) -> None:
        """Judge one reply."""
        self.replies += 1
        if reply.status is None or reply.status == 503:
            self.failures += 1
            if not self.weather.touched(reply.sent_at, reply.ended_at):
                self._wrong(request, reply, "no fault is on")
        elif isinstance(request, Claim):
            if not request.take(reply):
                self._wrong(request, reply, "no reply to a claim")
        elif isinstance(request, Write):
            self._judge_write(request, reply)
        else:
            self._judge_read(request, reply)

    def gave_up(self, request: Write | Read | Claim, reply: Reply) -> None:
        """Hear that a write that never gives up was refused for longer than any healing takes."""
        self.findings.add("not_healed", f"{_short(request)} was refused for too long, last with {reply.status}")

    def _judge_write(self, write: Write, reply: Reply) -> None:
        if write.is_too_large:
            if (reply.status, reply.code) != (413, "batch_too_large"):
                self._wrong(write, reply, "413 was due")
            return
        if write.board is not None:
            if reply.status == 202 and reply.body == {"accepted": 1, "id": write.events[0].event_id}:
                write.events[0].is_acknowledged = True
            else:
                self._wrong(write, reply, "202 with the id was due")
            return
        found = [(item["index"], item["code"]) for item in (reply.body or {}).get("rejected", [])]
        accepted = (reply.body or {}).get("accepted")
        expected = (202 if write.count_valid else 422, write.count_valid, write.rejected)
        if (reply.status, accepted, found) != expected:
            self._wrong(write, reply, f"{expected} was due")
        if reply.status == 202:
            for event in write.events:
                event.is_acknowledged = True

    def _judge_read(self, read: Read, reply: Reply) -> None:
        ranking = (read.board, read.segment)
        if reply.status == 404 and reply.code == "not_ranked" and read.kind in ("user", "nearby"):
            possible = self.model.possible(ranking, read.users[0])
            if possible is not None and not possible.may_be_absent:
                self.findings.add("wrong_rank", f"{_short(read)}: not_ranked, and an entry was served before")
        elif reply.status != 200:
            self._wrong(read, reply, "200 was due")
        elif read.kind == "user":
            self._check_rows(read, ranking, [reply.body], reply.body["total"])
            if reply.body["user_id"] != read.users[0]:
                self._wrong(read, reply, "it is another user's")
        elif read.kind == "lookup":
            entries = reply.body["entries"]
            self._check_rows(read, ranking, entries, None)
            if {entry["user_id"] for entry in entries} | set(reply.body["not_ranked"]) != set(read.users):
                self._wrong(read, reply, "entries and not_ranked are not who was asked for")
            for user_id in reply.body["not_ranked"]:
                possible = self.model.possible(ranking, user_id)
                if possible is not None and not possible.may_be_absent:
                    self.findings.add("wrong_rank", f"{_short(read)}: {user_id} is not there any more")
        else:
            self._judge_page(read, ranking, reply)

    def _judge_page(self, read: Read, ranking: Ranking, reply: Reply) -> None:
        entries, total = reply.body["entries"], reply.body["total"]
        self._check_rows(read, ranking, entries, total)
        ranks = [entry["rank"] for entry in entries]
        if ranks and ranks != list(range(ranks[0], ranks[0] + len(ranks))):
            self.findings.add("wrong_rank", f"{_short(read)}: ranks with gaps {ranks}")
        if read.kind == "nearby":
            if read.users[0] not in {entry["user_id"] for entry in entries}:
                self.findings.add("wrong_rank", f"{_short(read)}: the user is not on it")
        else:
            due = max(0, min(read.limit, total - read.from_rank + 1))
            if len(entries) != due or (entries and ranks[0] != read.from_rank):
                self.findings.add("wrong_rank", f"{_short(read)}: {len(entries)} entries of {total}, {due} were due")

    def _check_rows(self, read: Read, ranking: Ranking, rows: Sequence[dict[str, Any]], total: int | None) -> None:
        """Check that rows are in order, of different players, and that each score and rank can be right."""
        board = board_of(ranking)
        places = []
        for row in rows:
            user_id, score = row["user_id"], row["score"]
            possible = self.model.possible(ranking, user_id)
            if possible is None or not possible.allows(score):
                self.findings.add("wrong_rank", f"{_short(read)}: {user_id} with {score}, possible is {possible}")
            places.append((board.sign * score, datetime.fromisoformat(row["achieved_at"]), user_id.encode()))
        users = [row["user_id"] for row in rows]
        if len(set(users)) != len(users):
            self.findings.add("wrong_rank", f"{_short(read)}: a player is on it twice")
        keys = [place[:1] for place in places] if board.tie_break else places
        if keys != sorted(keys) or [row["rank"] for row in rows] != sorted({row["rank"] for row in rows}):
            self.findings.add("wrong_rank", f"{_short(read)}: not in order")
        if rows:
            row = self.dice.choice(rows)
            best, worst = self.model.rank_bounds(ranking, row["user_id"], row["score"])
            if not best <= row["rank"] <= worst:
                self.findings.add("wrong_rank", f"{_short(read)}: rank {row['rank']} lies not in {best}..{worst}")
        if total is not None:
            least, most = self.model.totals(ranking)
            if not least <= total <= most:
                self.findings.add("wrong_rank", f"{_short(read)}: total {total} lies not in {least}..{most}")

    def _wrong(self, request: Write | Read | Claim, reply: Reply, why: str) -> None:
        text = f"{_short(request)}: {reply.status} {reply.error}{str(reply.body)[:200]} ({why})"
        self.findings.add("wrong_reply", text)


def _short(request: Write | Read | Claim) -> str:
    if isinstance(request, Write):
        return f"a write of {len(request.events)} events"
    return str(request)[:160]

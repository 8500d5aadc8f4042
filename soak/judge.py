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
from soak.outlaws import Sentence
from soak.periods import ALL_TIME
from soak.weather import Weather
from soak.workload import Read, Reset, Write

Request = Write | Read | Claim | Sentence | Reset


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

    def about_to_send(self, request: Request) -> None:
        """Hear of a request before its first byte leaves: from now on its events may count."""
        if isinstance(request, Write):
            for event in request.events:
                if not event.is_stored and event.event_id not in self.open:
                    self.open[event.event_id] = event
                    self.model.send(event)

        elif isinstance(request, Sentence):
            request.begin()

    def replied(self, request: Request, reply: Reply) -> None:
        """Judge one reply."""
        self.replies += 1
        if reply.status is None or reply.status == 503:
            self.failures += 1
            if isinstance(request, Sentence | Reset):
                request.fail()
            if not self.weather.touched(reply.sent_at, reply.ended_at):
                self._wrong(request, reply, "no fault is on")
        elif isinstance(request, Claim | Sentence | Reset):
            if not request.take(reply):
                self._wrong(request, reply, f"no reply to a {type(request).__name__.lower()}")
        elif isinstance(request, Write):
            self._judge_write(request, reply)
        else:
            self._judge_read(request, reply)

    def gave_up(self, request: Request, reply: Reply) -> None:
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
        period = reply.body.get("period", ALL_TIME) if isinstance(reply.body, dict) else ALL_TIME
        ranking = Ranking(read.board, read.segment, period)
        if reply.status == 404 and reply.code == "not_ranked" and read.kind in ("user", "nearby"):
            # The problem does not say in which period, and of a board that has them that may be a new one.
            possible = None if board_of(ranking).has_periods else self.model.possible(ranking, read.users[0])
            if possible is not None and not possible.may_be_absent:
                self.findings.add("wrong_rank", f"{_short(read)}: not_ranked, and an entry was served before")
        elif reply.status != 200:
            self._wrong(read, reply, "200 was due")
        elif read.kind == "user":
            self._check_rows(read, ranking, [reply.body], reply.body["total"], reply.sent_at)
            if reply.body["user_id"] != read.users[0]:
                self._wrong(read, reply, "it is another user's")
        elif read.kind == "lookup":
            entries = reply.body["entries"]
            self._check_rows(read, ranking, entries, None, reply.sent_at)
            if {entry["user_id"] for entry in entries} | set(reply.body["not_ranked"]) != set(read.users):
                self._wrong(read, reply, "entries and not_ranked are not who was asked for")
            for user_id in reply.body["not_ranked"]:
                possible = self.model.possible(ranking, user_id)
                if possible is not None and not possible.may_be_absent and not self.model.is_blurred(ranking):
                    self.findings.add("wrong_rank", f"{_short(read)}: {user_id} is not there any more")
        else:
            self._judge_page(read, ranking, reply)

    def _judge_page(self, read: Read, ranking: Ranking, reply: Reply) -> None:
        entries, total = reply.body["entries"], reply.body["total"]
        self._check_rows(read, ranking, entries, total, reply.sent_at)
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

    def _check_rows(
        self, read: Read, ranking: Ranking, rows: Sequence[dict[str, Any]], total: int | None, sent_at: float
    ) -> None:
        """Check that rows are in order, of different players, and that each score and rank can be right."""
        board = board_of(ranking)
        is_blurred = self.model.is_blurred(ranking)
        possibles = self.model.possible_of(ranking, [row["user_id"] for row in rows])
        places = []
        for row in rows:
            user_id, score = row["user_id"], row["score"]
            possible = possibles.get(user_id)
            if self.model.outlaws.is_gone(user_id, sent_at):
                self.findings.add("wrong_rank", f"{_short(read)}: {user_id} is banned, and is shown")
            if not is_blurred and (possible is None or not possible.allows(score)):
                self.findings.add("wrong_rank", f"{_short(read)}: {user_id} with {score}, possible is {possible}")
            places.append((board.sign * score, datetime.fromisoformat(row["achieved_at"]), user_id.encode()))
        users = [row["user_id"] for row in rows]
        if len(set(users)) != len(users):
            self.findings.add("wrong_rank", f"{_short(read)}: a player is on it twice")
        keys = [place[:1] for place in places] if board.tie_break else places
        if keys != sorted(keys) or [row["rank"] for row in rows] != sorted({row["rank"] for row in rows}):
            self.findings.add("wrong_rank", f"{_short(read)}: not in order")
        if is_blurred:
            return
        if rows:
            row = self.dice.choice(rows)
            best, worst = self.model.rank_bounds(ranking, row["user_id"], row["score"])
            if not best <= row["rank"] <= worst:
                self.findings.add("wrong_rank", f"{_short(read)}: rank {row['rank']} lies not in {best}..{worst}")
        if total is not None:
            least, most = self.model.totals(ranking)
            if not least <= total <= most:
                self.findings.add("wrong_rank", f"{_short(read)}: total {total} lies not in {least}..{most}")

    def _wrong(self, request: Request, reply: Reply, why: str) -> None:
        text = f"{_short(request)}: {reply.status} {reply.error}{str(reply.body)[:200]} ({why})"
        self.findings.add("wrong_reply", text)


def _short(request: Request) -> str:
    if isinstance(request, Write):
        return f"a write of {len(request.events)} events"
    return str(request)[:160]

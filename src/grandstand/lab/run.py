"""One run: boards of its own, requests when they are due, every reply judged, everything read back in the end."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from grandstand.lab.arrivals import Profile
from grandstand.lab.asker import Asker
from grandstand.lab.audit import Audit, Reader
from grandstand.lab.crew import Crew
from grandstand.lab.errors import LabError
from grandstand.lab.generator import READ_KINDS, Order, Second
from grandstand.lab.load_model import LoadModel
from grandstand.lab.tally import Tally, percentile_ms
from grandstand.lab.traffic import Names
from grandstand.lab.vitals import Vitals

CONNECTIONS_MAX = 256
GIVE_UP_SECONDS = 30.0


class Moment(msgspec.Struct):
    """What came of one second; latencies are those of this second alone, None where there were none."""

    at_seconds: float
    events_per_second: float
    reads_per_second: float
    errors: int
    accept_p99_ms: float | None
    read_p99_ms: float | None
    visible_p99_ms: float | None
    late_p99_ms: float | None


@dataclass
class Outcome:
    """What came of a run. Of `tally`, `late` is how late the generator itself was: what it adds to every figure."""

    seconds: float = 0.0
    events: int = 0
    reads: int = 0
    requests: int = 0
    unsent: int = 0
    unanswered: int = 0
    generator_cpu_seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    moments: list[Moment] = field(default_factory=list)


class Run:
    """One load on one server. `say` is told what happens, for whoever waits; `tell` each second what came of it."""

    def __init__(
        self, host: str, port: int, key: str, model: LoadModel, seed: int, say: Callable[[str], None],
        *, generators: int = 1, give_up_seconds: float = GIVE_UP_SECONDS, tell: Callable[[Moment], None] | None = None,
    ) -> None:  # fmt: skip
        self.names = Names(f"lab-{datetime.now(UTC):%Y%m%d%H%M%S%f}-{seed}")
        self.model = model
        self.seed = seed
        self.audit = Audit([])
        self.outcome = Outcome()
        self.generators = generators
        self._host, self._port, self._key = host, port, key
        self._give_up_seconds = give_up_seconds
        self._say = say
        self._tell = tell

    async def prepare(self) -> None:
        """Make the board and the tournament of the run.

        Raises:
            LabError: the server refuses.
        """
        names = self.names
        board = {"title": names.run, "event_type": names.game_type, "field": "score", "operator": "best"}
        await self._change("PUT", f"/api/leaderboards/{names.board}", board, 201)
        now = datetime.now(UTC)
        cup = {
            "id": names.tournament, "title": names.run, "event_type": names.game_type, "field": "score",
            "operator": "sum", "starts_at": (now - timedelta(minutes=5)).isoformat(),
            "ends_at": (now + timedelta(days=1)).isoformat(),
        }  # fmt: skip
        await self._change("POST", "/api/tournaments", cup, 201)

    async def load(self, profile: Profile, seconds: float, vitals: Vitals) -> None:
        """Send for so long, and wait for every answer.

        Raises:
            LabError: a generator process ended.
        """
        orders = [
            Order(
                self._host, self._port, self._key, self.names.run, self.model.daily_players, profile, seconds,
                self.seed, part, self.generators, max(1, CONNECTIONS_MAX // self.generators), self._give_up_seconds,
            )
            for part in range(self.generators)
        ]  # fmt: skip
        async with Crew(orders) as crew:
            vitals.generator_pids = crew.pids
            watching = asyncio.create_task(vitals.watch())
            try:
                gathering = _Gathering(self.outcome, self.generators, self._tell)
                ended = await crew.load(gathering.add)
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
        self.audit = Audit(each.account for each in ended)
        self.outcome.seconds = max(each.seconds for each in ended)
        self.outcome.unsent = sum(each.unsent for each in ended)
        self.outcome.unanswered = sum(each.unanswered for each in ended)
        self.outcome.requests = sum(each.requests for each in ended)
        self.outcome.generator_cpu_seconds = sum(each.cpu_seconds for each in ended)

    async def close(self) -> None:
        """Wait until everything is processed, read it all back, and compare.

        Raises:
            LabError: the server does not answer, or does not come to an end.
        """
        reader = Reader(self._host, self._port, self._key)
        self._say("waiting until everything is processed")
        await reader.wait_until_processed()
        await reader.read_all(self.names, self.audit, self._say)

    async def tidy(self) -> None:
        """Delete the run's board and cancel its tournament; its events stay."""
        await self._change("DELETE", f"/api/leaderboards/{self.names.board}", None, 204)
        await self._change("POST", f"/api/tournaments/{self.names.tournament}/cancel", {}, 200)

    async def _change(self, method: str, path: str, content: object, expected: int) -> None:
        async with Asker(self._host, self._port, self._key) as asker:
            status, body = await asker.ask(method, path, content)
        if status != expected:
            raise LabError(f"{method} {path} was answered with {status}: {body[:300]!r}.")


class _Gathering:
    """Puts together what the processes report, a second at a time."""

    def __init__(self, outcome: Outcome, parts: int, tell: Callable[[Moment], None] | None) -> None:
        self._outcome, self._parts, self._tell = outcome, parts, tell
        self._began_at = self._before_at = time.monotonic()
        self._begin()

    def _begin(self) -> None:
        self._tally = Tally()
        self._events = self._reads = self._errors = self._reports = 0

    def add(self, second: Second) -> None:
        """Take the report of one process."""
        self._outcome.events += second.events
        self._outcome.reads += second.reads
        self._outcome.tally.add(second.latencies)
        self._tally.add(second.latencies)
        self._events += second.events
        self._reads += second.reads
        self._errors += second.errors
        self._reports += 1
        if self._reports >= self._parts:
            self._close()

    def _close(self) -> None:
        now = time.monotonic()
        since = max(0.001, now - self._before_at)
        moment = Moment(
            round(now - self._began_at, 1), round(self._events / since), round(self._reads / since), self._errors,
            self._tally.p_ms("accept", 99),
            percentile_ms(self._tally.merged(READ_KINDS), 99),
            self._tally.p_ms("visible", 99),
            self._tally.p_ms("late", 99),
        )  # fmt: skip
        self._outcome.moments.append(moment)
        if self._tell is not None:
            self._tell(moment)
        self._before_at = now
        self._begin()

"""One scheduler leads; the others stand by and take over within seconds when it dies, hangs or stops.

```
                 the lease is free or expired: token + 1
   STANDING BY ────────────────────────────────────────► LEADING ──┐ renewed, every 2 s:
        ▲  ▲                                              │ ▲  ▲ ───┘ same token
        │  │    a renewal finds another token             │ │  │
        │  └──────────────────────────────────────────────┤ │  │ renewed after all:
        │                                                 │ │  │ same token
        │       6 s without a renewal that got through    ▼ │  │
        │  another token found                          IN DOUBT (leads nothing, goes on asking)
        └─────────────────────────────────────────────────┘
   stop: LEADING ──► what is under way ends, renewed meanwhile ──► the lease is released ──► ENDED
```

What each fault leads to:
- *The leader dies*: its lease expires after its life, and the next one that asks takes it. At most life + interval.
- *The leader is paused, or cut off from PostgreSQL*: the same. When it wakes it may believe for a moment that it leads;
  every transaction of a leader therefore begins with `fence`, which refuses the old token.
- *It is paused inside a fenced transaction*: the next leader waits for that transaction, which PostgreSQL ends after
  the life of the lease without a word from its client.
- *Clocks differ or jump*: PostgreSQL's clock alone says when a lease ends. The process only measures, from before it
  asked, how long ago its last renewal was, to stop sooner by itself; that never makes anybody a leader.
- *PostgreSQL's clock jumps ahead*: a lease ends early, another leader takes over, and the fence keeps the order.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import structlog

from grandstand import clock
from grandstand.storage.leases import LeaseLostError, LeaseStore, Term
from grandstand.storage.postgres import Connection, Database
from grandstand.telemetry import metrics
from grandstand.workers.loop import ENGINE_ERRORS

SCHEDULER = "scheduler"
"""Name of the lease of whoever drives tournaments and periods."""

LIFE_SECONDS = 6.0
RENEWAL_SECONDS = 2.0

_term_of_round: ContextVar[Term | None] = ContextVar("term_of_round", default=None)
_log = structlog.get_logger(__name__)


class Leader:
    """One process's candidacy for a lease. `holder` names the process in the table and in logs."""

    def __init__(
        self,
        database: Database,
        leases: LeaseStore,
        holder: str,
        *,
        name: str = SCHEDULER,
        life_seconds: float = LIFE_SECONDS,
        renewal_seconds: float = RENEWAL_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._leases = leases
        self._holder = holder
        self._name = name
        self._life_seconds = life_seconds
        self._renewal_seconds = renewal_seconds
        self._monotonic = monotonic
        self._term: Term | None = None
        self._believed_until = 0.0
        self._began = asyncio.Event()
        self._is_ending = False
        self._is_away = False
        self._under_way = 0
        self._at_rest = asyncio.Event()
        self._at_rest.set()

    @property
    def term(self) -> Term | None:
        """The term under way as far as this process knows, or None. Only the fence knows for certain."""
        return self._term if self._monotonic() < self._believed_until else None

    async def wait_for_term(self) -> Term:
        """Wait until this process leads; return the term."""
        while (term := self.term) is None:
            self._began.clear()
            await self._began.wait()
        return term

    async def run(self, stop: asyncio.Event) -> None:
        """Ask for the lease and keep it until the stop; then let what is under way end, and release it.

        When it is cancelled instead, the lease expires by itself.
        """
        while not stop.is_set():
            await self.step()
            await clock.wait(stop, self._renewal_seconds)
        self._is_ending = True
        while self._under_way:
            await self.step()
            await clock.wait(self._at_rest, self._renewal_seconds)
        await self._release()

    async def step(self) -> None:
        """Ask once: for the lease, or for its renewal. An engine that is out of reach is logged, not raised."""
        try:
            held, term = self._term, None
            async with self._database.connection() as connection:
                # Before asking: the lease may be running from any moment after it.
                asked_at = self._monotonic()
                if held is not None:
                    term = held if await self._leases.renew(connection, held) else None
                elif not self._is_ending:
                    term = await self._leases.take(connection, self._name, self._holder, self._life_seconds)
            # Afterwards: what was not committed is not to be believed.
            if term is not None:
                if held is None:
                    _log.info("lease_taken", lease=self._name, holder=self._holder, token=term.token)
                self._believe(term, asked_at)
            elif held is not None:
                self._lose()
            self._is_away = False
        except ENGINE_ERRORS as error:
            if not self._is_away:
                _log.warning("lease_out_of_reach", lease=self._name, error=str(error) or type(error).__name__)
            self._is_away = True
        metrics.LEADING.set(self.term is not None)

    def while_leading(
        self, action: Callable[[], Awaitable[object]], otherwise: Callable[[], None] | None = None
    ) -> Callable[[], Awaitable[None]]:
        """Return a round for `run_every` that does `action` while this process leads, and else `otherwise` or nothing.

        The action begins its transactions with `fence`. One that is refused ends the round quietly.
        """

        async def round_of_leader() -> None:
            term = self.term
            if term is None or self._is_ending:
                if otherwise is not None:
                    otherwise()
                return
            self._under_way += 1
            self._at_rest.clear()
            reset = _term_of_round.set(term)
            try:
                await action()
            except LeaseLostError:
                _log.warning("lease_lost_during_round", lease=self._name, holder=self._holder, token=term.token)
            finally:
                _term_of_round.reset(reset)
                self._under_way -= 1
                if not self._under_way:
                    self._at_rest.set()

        return round_of_leader

    async def fence(self, connection: "Connection[Any]") -> None:
        """Let the caller's transaction go on only while the term in which its round began is running.

        What writes in a round of `while_leading` calls it as the first statement of each of its transactions. It is
        the term of the round's start that counts: what a round read in one term is not to be written in a later one.

        Raises:
            LeaseLostError: that term is over, or the caller is in no round.
        """
        term = _term_of_round.get()
        if term is None:
            raise LeaseLostError("Only a round of the leader writes this.")
        await self._leases.fence(connection, term)

    def _believe(self, term: Term, asked_at: float) -> None:
        self._term = term
        self._believed_until = asked_at + term.life_seconds
        self._began.set()

    def _lose(self) -> None:
        if self._term is not None:
            _log.warning("lease_lost", lease=self._name, holder=self._holder, token=self._term.token)
        self._term = None
        self._believed_until = 0.0

    async def _release(self) -> None:
        term, self._term, self._believed_until = self._term, None, 0.0
        metrics.LEADING.set(0)
        if term is None:
            return
        try:
            async with self._database.connection() as connection:
                await self._leases.release(connection, term)
            _log.info("lease_released", lease=self._name, holder=self._holder, token=term.token)
        except ENGINE_ERRORS as error:
            _log.warning("lease_not_released", lease=self._name, error=str(error) or type(error).__name__)

"""The leases table: who leads, until when, and the token that tells one term of office from the next."""

from dataclasses import dataclass
from typing import Any

from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class LeaseLostError(Exception):
    """A writer's term is over: another leads, or may lead at any moment. Its transaction must not commit."""


@dataclass(frozen=True, slots=True)
class Term:
    """One holder's turn at a lease. `token` rises with every change of holder."""

    name: str
    token: int
    life_seconds: float


class LeaseStore:
    """Takes, renews and checks leases by PostgreSQL's clock; every method runs on the caller's connection."""

    async def take(self, connection: "Connection[Any]", name: str, holder: str, life_seconds: float) -> Term | None:
        """Begin a term when nobody's is running; None while another's is.

        It waits for fenced transactions of the term before, so what they write is seen by all that follows.
        """
        token = await connection.fetchval(queries.load("leases/take.sql"), name, holder, life_seconds)
        return None if token is None else Term(name, token, life_seconds)

    async def renew(self, connection: "Connection[Any]", term: Term) -> bool:
        """Prolong a term by its life from now; False when another term has begun."""
        sql = queries.load("leases/renew.sql")
        return await connection.fetchval(sql, term.name, term.token, term.life_seconds) is not None

    async def release(self, connection: "Connection[Any]", term: Term) -> None:
        """End a term now. Nothing happens when it is over already."""
        await connection.execute(queries.load("leases/release.sql"), term.name, term.token)

    async def fence(self, connection: "Connection[Any]", term: Term) -> None:
        """Make sure that a term is running, and let no other begin until the caller's transaction ends.

        Call it inside the transaction that writes, best as its first statement. From then on PostgreSQL ends the
        transaction when its client says nothing for the life of the lease.

        Raises:
            LeaseLostError: the term is over. Let it pass through, so that the transaction is rolled back.
        """
        silence_max = f"{int(term.life_seconds * 1000)}ms"
        sql = queries.load("leases/fence.sql")
        if await connection.fetchval(sql, term.name, term.token, silence_max) is None:
            raise LeaseLostError(f"Term {term.token} of the lease {term.name!r} is over.")

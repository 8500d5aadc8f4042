"""The counts that all processes share: one key a subject, which ends with its window or its block."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from grandstand.domain.errors import UnavailableError
from grandstand.domain.rate_limits import RateLimit
from grandstand.storage.valkey_errors import OUT_OF_REACH
from grandstand.storage.valkey_scripts import Script


class Charge(NamedTuple):
    """Units of a subject: those that were admitted already, and those that wait for an answer."""

    limit: RateLimit
    key: bytes
    spent: int
    wanted: int


class Count(NamedTuple):
    """What is known of a subject after a charge.

    `units` above the quota say that it is blocked. `granted` of the wanted units were admitted. It all ends in
    `left_seconds`.
    """

    units: int
    granted: int
    left_seconds: float


class RateLimitStore:
    """Counts units of one deployment."""

    def __init__(self, client: Valkey, prefix: str) -> None:
        self._client = client
        # One script call touches many subjects, so they share a slot of a cluster.
        self._prefix = f"{prefix}:{{limits}}:"
        self._charge = Script("charge.lua")

    def key(self, limit: RateLimit, subject: str) -> bytes:
        """Return the key of a subject. It tells nothing of who that is, and is short however long the name."""
        digest = hashlib.blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"{self._prefix}{limit.counter}:{digest}".encode()

    async def charge(self, charges: Sequence[Charge]) -> list[Count]:
        """Count units and return what is known of each subject then.

        Raises:
            UnavailableError: Valkey is out of reach, or takes no writes. The charges may or may not have been counted.

        """
        limits = {limit: number for number, limit in enumerate({charge.limit: None for charge in charges}, start=1)}
        rules = " ".join([f"{each.quota} {each.window_seconds * 1000} {each.block_seconds * 1000}" for each in limits])
        units = " ".join([f"{limits[limit]} {spent} {wanted}" for limit, _, spent, wanted in charges])
        try:
            reply = await self._charge.run(self._client, [charge.key for charge in charges], (rules, units))
        except (*OUT_OF_REACH, ValkeyError) as error:
            raise UnavailableError("The shared counts cannot be reached right now.") from error
        counts = list(map(int, reply.split()))
        return [Count(counts[at], counts[at + 1], counts[at + 2] / 1000) for at in range(0, len(counts), 3)]

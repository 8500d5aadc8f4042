"""The settled occurrences that several checks look at."""

import hashlib
from typing import Any

from grandstand.invariants.check import Look
from grandstand.invariants.sampling import chosen
from grandstand.invariants.stored_boards import Occurrence, read_occurrences
from grandstand.storage.postgres import Connection

_SAMPLED_SHARE = 20


async def settled_occurrences(look: Look, connection: "Connection[Any]") -> list[Occurrence]:
    """Return settled occurrences in an order of chance that the seed decides: as many as the scope asks for."""
    settled = [each for each in await read_occurrences(look, connection) if each.status == "settled"]

    def by_chance(each: Occurrence) -> bytes:
        return hashlib.sha256(f"{each.tournament_id} {each.occurrence} {look.scope.seed}".encode()).digest()

    return list(chosen(look, sorted(settled, key=by_chance), _SAMPLED_SHARE))

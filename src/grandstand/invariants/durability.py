"""What the engines say is on disk, is on disk."""

from valkey.exceptions import ResponseError

from grandstand.invariants.check import Check, Look
from grandstand.storage.valkey_servers import ask_primaries

_VALKEY = {"appendonly": "yes", "appendfsync": "always"}


async def _look(look: Look) -> None:
    outcome = look.outcome
    async with look.snapshot() as connection:
        for row in await look.rows(connection, "durability_settings"):
            outcome.looked_at += 1
            if row["setting"] == "off":
                outcome.add(f"PostgreSQL runs with {row['name']} = off", setting=row["name"])
    try:
        found = await ask_primaries(look.subject.valkey, "CONFIG GET", "append*")
    except ResponseError:
        # A hosted server that hides its configuration is its operator's promise.
        outcome.undecided += len(_VALKEY)
        return
    for held in found:
        for name, wanted in _VALKEY.items():
            outcome.looked_at += 1
            if held.get(name) != wanted:
                outcome.add(f"Valkey runs with {name} {held.get(name)} instead of {wanted}", setting=name)


DURABILITY = Check("durability", "Both engines write to disk before they say that something is done.", _look)

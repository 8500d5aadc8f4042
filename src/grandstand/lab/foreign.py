"""Whether a server holds what no lab made: a load beside people's data slows them, and its events stay."""

from typing import Any

from grandstand.lab.asker import Asker
from grandstand.lab.measuring import Target

OURS = "lab-"
_OF_EVERY_SERVER = "global"


async def foreign_data(target: Target) -> list[str]:
    """Return, in words, what the server holds beside what the lab leaves; empty when it holds nothing else.

    Raises:
        LabError: it does not answer.
    """
    async with Asker(target.host, target.port, target.key) as asker:

        async def get(path: str) -> dict[str, Any]:
            found: dict[str, Any] = await asker.get(path, dict[str, Any], missing=True)
            return found

        boards, tournaments = await get("/api/leaderboards"), await get("/api/tournaments")
        ranked = await get(f"/api/leaderboards/{_OF_EVERY_SERVER}?limit=1")
        stats = await get("/api/events/stats?interval=day")
    keys = [board["key"] for board in boards.get("leaderboards", [])]
    found = [f"the leaderboard {key}" for key in keys if key != _OF_EVERY_SERVER and not key.startswith(OURS)]
    ids = [tournament["id"] for tournament in tournaments.get("tournaments", [])]
    found += [f"the tournament {name}" for name in ids if not name.startswith(OURS)]
    if ranked.get("total"):
        found.append(f"{ranked['total']:,} players on {_OF_EVERY_SERVER}")
    types = {bucket["event_type"] for bucket in stats.get("buckets", [])}
    return found + [f"events of type {name}" for name in sorted(types) if not name.startswith(OURS)]

"""Whether a server holds what no lab made: a load beside people's data slows them, and its events stay."""

from typing import Any

import msgspec

from grandstand.lab.errors import LabError
from grandstand.lab.http_connection import HttpClient, body_in, request_of
from grandstand.lab.measuring import Target

OURS = "lab-"
_OF_EVERY_SERVER = "global"


async def foreign_data(target: Target) -> list[str]:
    """Return, in words, what the server holds beside what the lab leaves; empty when it holds nothing else.

    Raises:
        LabError: it does not answer.
    """
    try:
        client = await HttpClient.open(target.host, target.port)
    except OSError as error:
        raise LabError(f"The server at {target.host}:{target.port} cannot be reached: {error}.") from error
    try:
        boards = await _get(client, target, "/api/leaderboards")
        tournaments = await _get(client, target, "/api/tournaments")
        ranked = await _get(client, target, f"/api/leaderboards/{_OF_EVERY_SERVER}?limit=1")
        stats = await _get(client, target, "/api/events/stats?interval=day")
    finally:
        client.close()
    keys = [board["key"] for board in boards.get("leaderboards", [])]
    found = [f"the leaderboard {key}" for key in keys if key != _OF_EVERY_SERVER and not key.startswith(OURS)]
    ids = [tournament["id"] for tournament in tournaments.get("tournaments", [])]
    found += [f"the tournament {name}" for name in ids if not name.startswith(OURS)]
    if ranked.get("total"):
        found.append(f"{ranked['total']:,} players on {_OF_EVERY_SERVER}")
    types = {bucket["event_type"] for bucket in stats.get("buckets", [])}
    return found + [f"events of type {name}" for name in sorted(types) if not name.startswith(OURS)]


async def _get(client: HttpClient, target: Target, path: str) -> dict[str, Any]:
    status, answer = await client.ask(request_of("GET", path, key=target.key))
    if status == 404:
        return {}
    if status != 200:
        raise LabError(f"GET {path} was answered with {status}: {body_in(answer)[:200]!r}.")
    found: dict[str, Any] = msgspec.json.decode(body_in(answer))
    return found

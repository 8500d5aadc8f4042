"""Valkey: version, what it does before it says that something is written, memory, clock."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from valkey.asyncio import Valkey
from valkey.asyncio.cluster import ValkeyCluster
from valkey.exceptions import ResponseError, ValkeyError

from grandstand import clock
from grandstand.diagnosis.advice import Advice, judged
from grandstand.diagnosis.clocks import look_at_clock
from grandstand.storage.valkey_servers import ask_primaries, is_cluster

OLDEST = (7, 0)
_FULL_SHARE = 0.8
_WANTED = {
    "appendonly": ("yes", "what is acknowledged lives there until it is stored."),
    "appendfsync": ("always", "an acknowledged event must be on the disk."),
    "maxmemory-policy": ("noeviction", "a full server must refuse events, and never drop some."),
}


async def look_at_valkey(client: Valkey) -> AsyncIterator[Advice]:
    """Judge the server; of a cluster all servers, replicas too: each check once, or for each where it is not well.

    Raises:
        valkey.exceptions.ValkeyError: it is out of reach, or no server of the cluster is within it.
    """
    if not is_cluster(client):
        async for advice in _look_at_server(client.execute_command):
            yield advice
        return
    await client.initialize()
    looks: dict[str, list[Advice]] = {}
    for node in cast("ValkeyCluster", client).get_nodes():
        try:
            async for advice in _look_at_server(partial(client.execute_command, target_nodes=node), is_shard=True):
                advice.finding = f"{node.name}: {advice.finding}"
                looks.setdefault(advice.check, []).append(advice)
        except (ValkeyError, OSError) as error:
            finding = f"{node.name} cannot be used: {str(error) or type(error).__name__}."
            looks.setdefault("valkey", []).append(Advice("valkey", "failed", finding, "Start it, or take it out."))
    for found in looks.values():
        for advice in [each for each in found if each.status != "ok"] or found[:1]:
            yield advice


async def _look_at_server(ask: Callable[..., Awaitable[Any]], *, is_shard: bool = False) -> AsyncIterator[Advice]:
    info = await ask("INFO")
    name, version = ("Valkey", info.get("valkey_version")) if "valkey_version" in info else ("Redis", None)
    version = str(version or info.get("redis_version", "0"))
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    yield judged(
        "valkey_version", parts >= OLDEST, f"{name} {version}.", "Upgrade it: streams and functions of 7.0 are needed."
    )
    if not is_shard:
        yield judged(
            "valkey_role",
            info.get("role") == "master",
            f"Its role is {info.get('role')}.",
            "Let GRANDSTAND_VALKEY_URL lead to the primary.",
        )
    for setting, (wanted, reason) in _WANTED.items():
        try:
            held = (await ask("CONFIG GET", setting)).get(setting)
        except ResponseError:
            yield Advice(f"valkey_{setting}", "warning", f"{setting} is hidden.", f"Ask for {wanted}: {reason}")
            continue
        yield judged(f"valkey_{setting}", held == wanted, f"{setting} is {held}.", f"Set {setting} {wanted}: {reason}")
    yield judged(
        "valkey_disk",
        info.get("aof_last_write_status", "ok") == "ok" and info.get("aof_last_bgrewrite_status", "ok") == "ok",
        "The last writes of its append-only file "
        + ("succeeded." if info.get("aof_last_write_status", "ok") == "ok" else "failed."),
        "Look into its log; its disk may be full.",
    )
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    yield judged(
        "valkey_memory",
        most > 0 and used < _FULL_SHARE * most,
        f"{used / 1024**2:,.0f} MiB are used, of " + (f"{most / 1024**2:,.0f}." if most else "no limit."),
        "Give it more memory." if most else "Set maxmemory below the machine's memory, so that it refuses in time.",
        otherwise="warning",
    )
    asked_at = clock.now()
    seconds, microseconds = await ask("TIME")
    yield look_at_clock(
        "valkey_clock", datetime.fromtimestamp(int(seconds) + int(microseconds) / 1e6, UTC), asked_at, clock.now()
    )


async def look_at_streams(client: Valkey, count: int) -> AsyncIterator[Advice]:
    """Judge whether so many event streams are of use there.

    Raises:
        valkey.exceptions.ValkeyError: a server is out of reach.
    """
    if count == 1:
        return
    if not is_cluster(client):
        yield Advice(
            "event_streams", "warning", f"There are {count}, and no cluster.",
            "Set GRANDSTAND_EVENT_STREAMS to 1: only shards of a cluster take more events together.",
        )  # fmt: skip
        return
    try:
        found = await ask_primaries(client, "CONFIG GET", "cluster-require-full-coverage")
    except ResponseError:
        yield Advice("event_streams", "ok", f"There are {count}; what the cluster needs to go on is hidden.")
        return
    yield judged(
        "event_streams",
        count <= len(found) and all(held.get("cluster-require-full-coverage") == "no" for held in found),
        f"There are {count}, and {len(found)} shards.",
        "Set it to the number of shards at most, and cluster-require-full-coverage to no: or one shard stops all.",
        otherwise="warning",
    )

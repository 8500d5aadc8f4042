"""What a load ran into, what to add, and what more players would take by the cost that was measured."""

import math
from typing import Any

from grandstand.lab.arrivals import MEAN_TO_PEAK
from grandstand.lab.report import MACHINE
from grandstand.lab.vitals import GENERATOR

PROCESS_FULL = 0.9
MACHINE_FULL = 0.95
PLANNED_SHARE = 0.7
"""Share of a core that a projection plans for: above, waiting times grow."""

_SCALED = {"http": "HTTP processes", "worker": "workers", "valkey": "Valkey primaries (one core each)"}
_AT_ITS_END = {
    "http": ("an HTTP process has its core full", "HTTP processes (GRANDSTAND_HTTP_PROCESSES), with a core for each"),
    "worker": ("a worker has its core full", "workers (GRANDSTAND_WORKERS), with a core for each"),
    "valkey": ("Valkey has its one core full", "primaries: Valkey Cluster (docs/operating/valkey.md)"),
    "postgres": ("a backend of PostgreSQL has its core full", "workers, for each has a backend of its own"),
    "scheduler": ("the scheduler has its core full", "a host of its own for the scheduler"),
}


def limiting(report: dict[str, Any]) -> dict[str, str]:
    """Return what a run ran into: `resource`, `why` and what to `add`."""
    shares: dict[str, float] = report["used_shares"]
    busy = {name: share for name, share in shares.items() if share >= PROCESS_FULL and name in _AT_ITS_END}
    waiting = {name: pool["waiting_most"] for name, pool in report["server"]["pools"].items()}
    if shares.get(MACHINE, 0.0) >= MACHINE_FULL:
        cores = sorted(report["server"]["cores"].items(), key=lambda item: -item[1])[:4]
        used = ", ".join(f"{name} {share:.2f}" for name, share in cores)
        return _limit("processors", f"the machine's cores are all busy ({used})", "cores, or machines for the engines")
    if busy:
        name = max(busy, key=lambda each: busy[each])
        return _limit(name, *_AT_ITS_END[name])
    if report["verdict"] == "Not measured" or shares.get(GENERATOR, 0.0) >= PROCESS_FULL:
        return _limit(GENERATOR, "the generator could not keep its schedule", "generators, or a machine for them")
    if (most := max(waiting.values(), default=0)) > 0:
        name = max(waiting, key=lambda each: waiting[each])
        why = f"up to {most} callers waited for a connection of the pool {name}"
        return _limit("pool", why, "connections (docs/operating/databases.md), or a replica for reads")
    if report["lag_seconds"]["growth_a_second"] > 0 and any("lag" in each for each in report["reasons"]):
        return _limit("lag", "processing falls behind while no core is full: it waits for disk", "a faster disk")
    return _limit("latency", "; ".join(report["reasons"]) or "nothing was at its end", "a faster disk or network")


def projection(report: dict[str, Any], daily_players: int) -> dict[str, Any]:
    """Return what so many players would take, by what each event cost in a run that held."""
    factor = daily_players / report["load"]["daily_players"]
    cores: dict[str, float] = report["server"]["cores"]
    needs = {
        words: max(1, math.ceil(cores[name] * factor / PLANNED_SHARE))
        for name, words in _SCALED.items()
        if name in cores
    }
    if "postgres" in cores:
        needs["cores of PostgreSQL's primary"] = max(1, math.ceil(cores["postgres"] * factor / PLANNED_SHARE))
    return {
        "daily_players": daily_players,
        "events_per_second": round(report["events_per_second"] * factor),
        "needs": needs,
    }


ASSUMPTIONS = (
    "each event and read costs as much processor time as in the largest load that held, whatever their number",
    f"no core is planned fuller than {PLANNED_SHARE:.0%}",
    "HTTP processes and workers share nothing but the engines, so twice as many do twice as much",
    "Valkey's work divides over primaries by key: one board and the stream each live on one of them",
    "PostgreSQL's primary takes every write; its disk keeps up with their log, which was not measured here",
    "replicas and an edge take reads off the API, which is left out",
    f"the peak is {1 / MEAN_TO_PEAK:.1f} times the mean of a day, as in the load model",
    "network between the machines was not measured",
)


def _limit(resource: str, why: str, add: str) -> dict[str, str]:
    return {"resource": resource, "why": why, "add": add}

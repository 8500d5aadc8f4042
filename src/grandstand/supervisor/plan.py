"""Which children a deployment of `grandstand up` has, and the environment they get."""

import os
from collections.abc import Mapping
from pathlib import Path

from grandstand.embedded.priority import BEHIND_PLAYERS
from grandstand.settings import ENV_PREFIX, Settings, as_environment, connections_of_tree
from grandstand.supervisor.child import ChildSpec

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


CONNECTIONS_SPARE = 30
"""Connections of the embedded PostgreSQL beyond those of the pools: for commands, backups and a person with psql."""

CONNECTIONS_MAX = 1000


def connections_of(settings: Settings) -> int:
    """Return how many connections the embedded PostgreSQL takes: enough for every pool, unless that is beyond reason.

    Pools grow with their use, so most of these cost no more than their slot in shared memory.
    """
    return min(CONNECTIONS_MAX, max(100, connections_of_tree(settings) + CONNECTIONS_SPARE))


def children_of(settings: Settings, listener_descriptor: int) -> list[ChildSpec]:
    """Return the children, HTTP first."""

    def serve(name: str, *roles: str, listens: bool = False) -> ChildSpec:
        arguments = ["serve", *(part for role in roles for part in ("--role", role))]
        if listens:
            arguments += ["--fd", str(listener_descriptor)]
        descriptors = (listener_descriptor,) if listens else ()
        return ChildSpec(name, (*arguments, "--lifeline"), descriptors, 0 if listens else BEHIND_PLAYERS)

    return [
        *(serve(f"http-{n}", "ingest", "api", listens=True) for n in range(1, settings.http_processes + 1)),
        *(serve(f"worker-{n}", "worker") for n in range(1, settings.workers + 1)),
        serve("scheduler", "scheduler"),
    ]


PREPARATION = ChildSpec("migrate", ("migrate", "--json", "--lifeline"))
"""The child that brings the schema up to date and makes the first keys, before the others begin."""


def child_environment(settings: Settings, metrics_dir: Path) -> Mapping[str, str]:
    """Return the environment of a child: this one's, with exactly these settings and no others of ours."""
    ours = {ENV_PREFIX + name.upper() for name in Settings.model_fields} | {"GRANDSTAND_STOP_WITH_PARENT"}
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    return inherited | as_environment(settings) | {METRICS_VARIABLE: str(metrics_dir)}

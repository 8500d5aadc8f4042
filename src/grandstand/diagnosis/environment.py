"""Settings: names that nothing reads, and more connections than PostgreSQL has."""

import difflib
from collections.abc import Iterable, Iterator

from grandstand.diagnosis.advice import Advice, judged
from grandstand.settings import ENV_PREFIX, Settings, connections_of_tree

FURTHER_NAMES = {"GRANDSTAND_STATE_DIR", "GRANDSTAND_STOP_WITH_PARENT", "GRANDSTAND_URL"}
"""Variables that commands read beside the settings."""


def look_at_names(names: Iterable[str]) -> Iterator[Advice]:
    """Judge the names of environment variables: a misspelt setting is one that silently does not hold."""
    known = {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields} | FURTHER_NAMES
    unknown = sorted(name for name in names if name.upper().startswith(ENV_PREFIX) and name.upper() not in known)
    for name in unknown:
        near = difflib.get_close_matches(name.upper(), known, 1)
        meant = f"did you mean {near[0]}?" if near else "`grandstand settings` lists them."
        yield Advice("settings", "warning", f"No setting is named {name}.", f"Remove it, or correct it: {meant}")
    if not unknown:
        yield Advice("settings", "ok", "Every variable that begins with GRANDSTAND_ is a setting.")


def look_at_connections(settings: Settings, connections_max: int) -> Advice:
    """Judge whether PostgreSQL has room for the pools of one tree of processes."""
    wanted = connections_of_tree(settings)
    return judged(
        "connections",
        wanted <= connections_max,
        f"The pools of one `grandstand up` may open {wanted} connections; PostgreSQL takes {connections_max}.",
        "Raise max_connections, lower GRANDSTAND_DATABASE_POOL_MAX and …_READ_POOL_MAX, or put PgBouncer in between.",
        otherwise="warning",
    )

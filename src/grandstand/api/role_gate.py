"""What a process does not serve: paths of the role that it has not, and those that settings close."""

from collections.abc import Collection

from grandstand.settings import Role, Settings

_EVENTS = "/api/events"
_SHARED = ("/api/health", "/metrics", "/schema", "/api/players/sessions")


def is_served(method: str, path: str, roles: Collection[Role]) -> bool:
    """Whether a process with these roles answers a path; sessions, health, metrics and the document are for both.

    Events come in through `ingest`; `api` reads them.
    """
    if path.startswith(_SHARED):
        return True
    if path.startswith(_EVENTS):
        return ("api" if method in ("GET", "HEAD") else "ingest") in roles or (method == "OPTIONS" and bool(roles))
    return "api" in roles


def closed_paths(settings: Settings) -> tuple[str, ...]:
    """Return what the paths begin with that the settings close."""
    return (() if settings.metrics_enabled else ("/metrics",)) + (() if settings.schema_enabled else ("/schema",))

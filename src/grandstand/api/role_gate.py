"""What a process does not serve: paths of the role that it has not, and those that settings close."""

from collections.abc import Collection

from grandstand.settings import Role, Settings

_EVENTS = "/api/events"
_SHARED = ("/api/health", "/metrics", "/schema", "/api/players/sessions")


def is_served(path: str, roles: Collection[Role]) -> bool:
    """Whether a process with these roles answers a path; sessions, health, metrics and the document are for both."""
    if path.startswith(_SHARED):
        return True
    return ("ingest" if path.startswith(_EVENTS) else "api") in roles


def closed_paths(settings: Settings) -> tuple[str, ...]:
    """Return what the paths begin with that the settings close."""
    return (() if settings.metrics_enabled else ("/metrics",)) + (() if settings.schema_enabled else ("/schema",))

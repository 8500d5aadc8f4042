"""What the roles `ingest` and `api` each serve, where a process has only one of them."""

from collections.abc import Collection

from grandstand.settings import Role

_EVENTS = "/api/events"
_SHARED = ("/api/health", "/metrics", "/schema", "/api/players/sessions")


def is_served(path: str, roles: Collection[Role]) -> bool:
    """Whether a process with these roles answers a path; sessions, health, metrics and the document are for both."""
    if path.startswith(_SHARED):
        return True
    return ("ingest" if path.startswith(_EVENTS) else "api") in roles

"""The only place that builds things: pools, stores, operations and loops, wired into the roles of a process."""

from grandstand.bootstrap.core import EngineUnreachableError
from grandstand.bootstrap.setup import check_engines, ensure_first_keys, migrate

__all__ = ["EngineUnreachableError", "check_engines", "ensure_first_keys", "migrate"]

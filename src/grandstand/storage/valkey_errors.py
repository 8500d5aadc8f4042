"""What the errors of Valkey mean to a caller: out of reach, passing, or damage."""

import re

from valkey.exceptions import (
    BusyLoadingError,
    ClusterError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    ValkeyClusterException,
)
from valkey.exceptions import (
    ConnectionError as ValkeyConnectionError,
)
from valkey.exceptions import (
    TimeoutError as ValkeyTimeoutError,
)

_CLUSTER_ERRORS = (ClusterError, ValkeyClusterException)
"""No server has the slot, or none of the cluster answers; ValkeyClusterException is no ValkeyError."""

SERVER_ERRORS = (
    ValkeyConnectionError, ValkeyTimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError, *_CLUSTER_ERRORS,
)  # fmt: skip
"""What tells that the server is the trouble, wherever it is raised."""

OUT_OF_REACH = (
    OSError, ValkeyConnectionError, ValkeyTimeoutError, BusyLoadingError, ReadOnlyError, *_CLUSTER_ERRORS,
)  # fmt: skip
"""What the client raises when the server is away, starting or not the primary; the same call may work later."""

_CODE = re.compile(r"[A-Z]{2,} ")
_PASSING_CODES = ("MISCONF", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "UNBLOCKED")


def is_passing(error: ResponseError) -> bool:
    """Whether the server refuses every such command for now: its disk is full, say, or its replicas are away."""
    return str(error).startswith(_PASSING_CODES)


def is_wrong_type(error: ResponseError) -> bool:
    """Whether a key holds another type than is kept there."""
    return str(error).startswith("WRONGTYPE")


def is_damage(error: object) -> bool:
    """Whether a script failed of what it found in its keys: another type than is kept there, or no sense in it."""
    # Errors of the server's own have a class of theirs; those of Lua and of its commands have no code before the text.
    if type(error) is not ResponseError:
        return False
    return is_wrong_type(error) or ("user_script:" in str(error) and _CODE.match(str(error)) is None)

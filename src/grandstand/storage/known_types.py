"""What PostgreSQL says of its own types is asked once a process, and not on every connection."""

from collections.abc import Collection
from typing import Any, NamedTuple

import asyncpg

_OF_POSTGRES = 10_000
"""Below it are the ids that PostgreSQL's sources give to types: they mean the same on every server, for ever."""

_known: dict[frozenset[int], Any] = {}


class _Kept(NamedTuple):
    # What stands for the statement that was not run; only the anonymous one would have replaced its caller's.
    name: str = "kept"


class TypedConnection(asyncpg.Connection):
    """A connection that knows the types, arrays above all, that others of the process have asked about.

    The library asks for them on each connection, with a recursive statement that costs PostgreSQL as much as a hundred
    look-ups, and most when many connections are opened at once: when something was slow. Should a later version of the
    library ask in another way, it asks as if this were not here.
    """

    async def _introspect_types(self, typeoids: Collection[int], timeout: float | None) -> tuple[Any, Any]:  # noqa: ASYNC109 - the library's name
        wanted = frozenset(typeoids)
        if wanted in _known:
            return _known[wanted], _Kept()
        # Its stubs leave private methods out.
        found, statement = await super()._introspect_types(typeoids, timeout)  # type: ignore[misc]
        if max(wanted) < _OF_POSTGRES:
            _known[wanted] = found
        return found, statement

"""Writes down who changed what: an operation adds a row in its own transaction, so neither is there without the other.

Who acts is ambient, as a trace id is: the HTTP layer and the commands say it once for what they are about to call, and
an operation does not hand it through. What nobody asked for is the doing of `system`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple

import msgspec

from grandstand import clock
from grandstand.storage.audit import AuditStore
from grandstand.storage.postgres import Connection

AuditAction = Literal[
    "dead_letter.delete",
    "dead_letter.replay",
    "key.create",
    "key.revoke",
    "key.rotate",
    "leaderboard.delete",
    "leaderboard.put",
    "leaderboard.remove_user",
    "leaderboard.replay",
    "leaderboard.reset",
    "operator.add",
    "operator.disable",
    "operator.enable",
    "operator.end_sessions",
    "operator.log_in",
    "operator.log_out",
    "operator.password",
    "operator.role",
    "operator.totp",
    "player.ban",
    "player.end_sessions",
    "player.erase",
    "player.put",
    "player.unban",
    "prize.void",
    "quarantine.reject",
    "quarantine.release",
    "tournament.cancel",
    "tournament.change",
    "tournament.create",
    "tournament.end",
    "webhook.create",
    "webhook.delete",
    "webhook.enable",
    "webhook.replay",
]
"""What is written down, as `resource.verb`."""


class Origin(NamedTuple):
    """Who acts: the kind of credential with the user or the key, and the address (None for commands and loops)."""

    kind: str
    name: str | None = None
    address: str | None = None

    @property
    def actor(self) -> str:
        """As it is kept beside what was done."""
        return self.kind if self.name is None else f"{self.kind}:{self.name}"


_SYSTEM = Origin("system")
_origin: ContextVar[Origin] = ContextVar("grandstand_origin", default=_SYSTEM)
_store = AuditStore()


def set_origin(origin: Origin) -> None:
    """Say who acts, for the rest of this task (a request has one of its own)."""
    _origin.set(origin)


def current_origin() -> Origin:
    """Return who acts."""
    return _origin.get()


@contextmanager
def acting_as(origin: Origin) -> Iterator[None]:
    """Say who acts, for a block."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


async def record(
    connection: "Connection[Any]", action: AuditAction, target: str, *, before: Any = None, after: Any = None
) -> None:
    """Write down a change, in the transaction that makes it.

    `before` and `after` are whatever msgspec can encode: what was there, and what is there now. Never a secret.
    """
    origin = _origin.get()
    await _store.add(
        connection, clock.now(), origin.actor, origin.address, action, target, _encode(before), _encode(after)
    )


def _encode(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()

"""Erases players: at once from boards, sessions and tournaments, then step by step from all that is stored.

`PlayerEraser` takes the first step in one transaction, between two batches: from then on the id is as free as one that
was never seen, and whatever arrives begins anew. `finish_erasures.py` does the rest. docs/decisions/0024 has the
reasons.
"""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.credentials import hash_user_id
from grandstand.domain.errors import FieldError, InvalidError, UnavailableError
from grandstand.domain.event_model import is_user_id
from grandstand.domain.ids import new_ids
from grandstand.operations.audit import Origin, acting_as, current_origin, record
from grandstand.operations.first_keys import deployment_secret
from grandstand.storage.changes import Changes
from grandstand.storage.entries import EntryStore
from grandstand.storage.erasures import Erasure, ErasureStore
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.prizes import PrizeStore
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.tournaments import TournamentStore
from grandstand.storage.valkey_errors import OUT_OF_REACH

PSEUDONYM_PREFIX = "erased-"
_REASON = "The player was erased."
_log = structlog.get_logger(__name__)


class ErasureView(msgspec.Struct, kw_only=True):
    """An erasure as served; it never names the player."""

    erasure_id: UUID
    status: str
    requested_at: datetime


class PlayerEraser:
    """Begins erasures for one process. Raises `UnavailableError` when an engine is away: then nothing has changed."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        erasures: ErasureStore,
        entries: EntryStore,
        tournaments: TournamentStore,
        prizes: PrizeStore,
        index: RankingIndex,
        changes: Changes,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._erasures = erasures
        self._entries = entries
        self._tournaments = tournaments
        self._prizes = prizes
        self._index = index
        self._changes = changes

    async def erase(self, user_id: str) -> ErasureView:
        """Begin to erase a player; while that goes on, a repeat changes nothing.

        Raises:
            InvalidError: no user can have this id.
        """
        if not is_user_id(user_id):
            raise InvalidError([FieldError("user_id", "must be 1 to 255 characters without control characters")])
        touched: set[int] = set()
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            erasure = await self._erasures.find_pending(connection, user_id)
            if erasure is None:
                erasure = Erasure(new_ids(1, clock.now())[0], user_id, f"{PSEUDONYM_PREFIX}{uuid4().hex}", clock.now())
                touched = await self._begin(connection, erasure)
        await self._announce(touched)
        return ErasureView(erasure_id=erasure.erasure_id, status="pending", requested_at=erasure.requested_at)

    async def _begin(self, connection: "Connection[Any]", erasure: Erasure) -> set[int]:
        user_hash = hash_user_id(erasure.user_id, await deployment_secret(connection))
        await self._erasures.add(connection, erasure, user_hash)
        removed = await self._entries.remove_everywhere(connection, erasure.user_id)
        await self._tournaments.remove_participant(connection, erasure.user_id)
        await self._prizes.void_of_user(connection, erasure.user_id, erasure.requested_at, "system", _REASON)
        await self._erasures.take_out(connection, erasure)
        # Who a player is, and from where it was asked, is what is to be forgotten.
        origin = current_origin()
        with acting_as(Origin("player") if origin.kind == "player" else origin):
            await record(connection, "player.erase", user_hash.hex())
        # Before the commit: were it lost after it, the player would stay in the rank indexes.
        try:
            await self._index.remove(removed)
        except OUT_OF_REACH as error:
            raise UnavailableError("The rank index cannot be reached right now; try again.") from error
        return {entry.ranking_id for entry in removed}

    async def _announce(self, ranking_ids: set[int]) -> None:
        try:
            await self._changes.names()
            await self._changes.periods()
            if ranking_ids:
                await self._changes.rankings(ranking_ids)
        except (ValkeyError, OSError) as error:
            _log.warning("change_not_announced", error=str(error))

"""Bans players: off every board at once, no new scores, no prizes that are not claimed yet."""

from datetime import datetime

import msgspec
import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.errors import (
    FieldError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from grandstand.domain.event_model import is_user_id
from grandstand.domain.json_bodies import decode_body
from grandstand.operations.audit import record
from grandstand.storage.bans import BanStore
from grandstand.storage.changes import Changes
from grandstand.storage.credentials import revoke_player
from grandstand.storage.entries import EntryStore
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Database
from grandstand.storage.prizes import PrizeStore
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.tournaments import TournamentStore
from grandstand.storage.valkey_errors import OUT_OF_REACH

REASON_LENGTH_MAX = 1_000
_log = structlog.get_logger(__name__)


class BanRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /api/players/{user_id}/ban` takes."""

    reason: str


class BanView(msgspec.Struct, kw_only=True):
    """A ban as served."""

    user_id: str
    is_banned: bool
    banned_at: datetime | None
    prizes_voided: int


class PlayerBanner:
    """Bans for one process. Raises `UnavailableError` when an engine is out of reach: then nothing has changed."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        bans: BanStore,
        entries: EntryStore,
        tournaments: TournamentStore,
        prizes: PrizeStore,
        index: RankingIndex,
        changes: Changes,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._bans = bans
        self._entries = entries
        self._tournaments = tournaments
        self._prizes = prizes
        self._index = index
        self._changes = changes

    async def ban(self, user_id: str, body: bytes, *, actor: str) -> BanView:
        """Ban a player; banning twice is the same as once.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a wrong value.
        """
        _check(user_id)
        reason = _read(body)
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            await self._bans.hold(connection, user_id)
            # Now that nobody can open a session: those that are open began before this moment.
            now = clock.now()
            before = await self._bans.get(connection, user_id)
            since = await self._bans.put(connection, user_id, now, reason)
            await revoke_player(connection, user_id, now)
            removed = await self._entries.remove_everywhere(connection, user_id)
            await self._tournaments.remove_participant(connection, user_id)
            voided = await self._prizes.void_of_user(connection, user_id, now, actor, reason)
            after = {"reason": reason, "prizes_voided": voided}
            await record(connection, "player.ban", user_id, before=_told(before), after=after)
            # Before the commit: were it lost after it, the player would stay in the rank indexes.
            try:
                await self._index.remove(removed)
            except OUT_OF_REACH as error:
                raise UnavailableError("The rank index cannot be reached right now; try again.") from error
        await self._announce({entry.ranking_id for entry in removed})
        return BanView(user_id=user_id, is_banned=True, banned_at=since, prizes_voided=voided)

    async def lift(self, user_id: str) -> BanView:
        """Lift a ban: scores that arrive from now on count; what was taken stays taken, in a replay too.

        Raises:
            NotFoundError: `player_not_banned`.
        """
        _check(user_id)
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            before = await self._bans.get(connection, user_id)
            if not await self._bans.lift(connection, user_id, clock.now()):
                raise NotFoundError("player_not_banned", "This player is not banned.")
            await record(connection, "player.unban", user_id, before=_told(before))
        return BanView(user_id=user_id, is_banned=False, banned_at=None, prizes_voided=0)

    async def _announce(self, ranking_ids: set[int]) -> None:
        try:
            if ranking_ids:
                await self._changes.rankings(ranking_ids)
            await self._changes.tournaments()
            await self._changes.prizes()
        except (ValkeyError, OSError) as error:
            _log.warning("change_not_announced", error=str(error))


def _told(ban: tuple[datetime, str] | None) -> dict[str, datetime | str] | None:
    return None if ban is None else {"banned_at": ban[0], "reason": ban[1]}


def _check(user_id: str) -> None:
    if not is_user_id(user_id):
        raise InvalidError([FieldError("user_id", "must be 1 to 255 characters without control characters")])


def _read(body: bytes) -> str:
    reason = decode_body(body, BanRequest).reason
    if not 0 < len(reason) <= REASON_LENGTH_MAX or "\x00" in reason:
        raise InvalidError([FieldError("reason", f"must be 1 to {REASON_LENGTH_MAX} characters without NUL")])
    return reason

"""Reads, claims, voids and expires prizes. A claim is one statement on the primary: it happens once or not at all."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args
from uuid import UUID

from grandstand import clock
from grandstand.domain.errors import ConflictError, FieldError, ForbiddenError, GoneError, InvalidError, NotFoundError
from grandstand.domain.event_model import is_user_id
from grandstand.domain.list_cursors import check_limit
from grandstand.domain.tournaments import PrizeStatus, is_tournament_id
from grandstand.operations.announce import announce
from grandstand.operations.answer_cache import AnswerCache
from grandstand.operations.audit import record
from grandstand.operations.tournament_views import PrizeList, PrizeView, prize_view
from grandstand.storage.changes import ChangeFeed, Changes
from grandstand.storage.gathered_lookups import CALL_WEIGHT_MAX, GatheredLookups, Tell
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.prizes import Prize, PrizeStore

LIST_MAX = 1000
KEY_LENGTH_MAX = 255
_EXPIRED_AT_ONCE = 5_000
_KEPT_MAX = 50_000
_STATUSES: tuple[PrizeStatus, ...] = get_args(PrizeStatus)
_FIRST = UUID(int=0)

APART_SECONDS = 0.01
"""Least time between two calls for the prizes of players, in which those who ask for the same kind of list gather. Each
call wakes up a process of PostgreSQL, which costs more than what it reads; nobody sees prizes 10 ms too late."""

USERS_MAX = 20
"""Players whose prizes one call reads: of each up to as many as a list is long."""


class Wanted(NamedTuple):
    """Which prizes of a player, or of all, a list has; `limit` is its length."""

    status: str | None
    tournament_id: str | None
    after: UUID
    limit: int


class _Asked(NamedTuple):
    user_id: str
    wanted: Wanted


class PrizeKeeper:
    """Serves prizes for one process. Every method raises `UnavailableError` without the database."""

    def __init__(
        self,
        database: Database,
        prizes: PrizeStore,
        outbox: Outbox,
        changes: Changes,
        feed: ChangeFeed | None = None,
        *,
        age_max_seconds: float = 0,
    ) -> None:
        """`feed` tells of changes elsewhere; lists are kept for `age_max_seconds`, and not at all without it."""
        self._database = database
        self._prizes = prizes
        self._outbox = outbox
        self._changes = changes
        self._feed = feed
        self._own_changes = 0
        self._of_users: GatheredLookups[Wanted, str, PrizeList] = GatheredLookups(
            self._list_of_users, lambda _: CALL_WEIGHT_MAX // USERS_MAX, apart_seconds=APART_SECONDS
        )
        self._cache: AnswerCache[_Asked, PrizeList] = AnswerCache(
            "prizes",
            age_max_seconds=age_max_seconds,
            weight_max=_KEPT_MAX,
            weigh=lambda _, found: 1 + len(found.prizes),
        )

    async def list(self, user_id: str | None, wanted: Wanted, *, is_fresh: bool = True) -> PrizeList:
        """Return prizes of a player, or of all, in the order in which they were awarded: as now, or a moment ago.

        Raises:
            InvalidError: a text that is no user id.
        """
        if user_id is None:
            return await self._list(wanted)
        if not is_user_id(user_id):
            raise InvalidError([FieldError("user_id", "must be 1 to 255 characters, none of them a control character")])
        if is_fresh:
            return await self._of_users.find(wanted, user_id)
        return await self._cache.get(_Asked(user_id, wanted), self._mark, lambda: self._of_users.find(wanted, user_id))

    def tell(self, user_id: str, wanted: Wanted, tell: "Tell[PrizeList]") -> None:
        """Read the prizes of a player, whose id is one, as `list` does when they are to be fresh; have it told once.

        Never at once.
        """
        self._of_users.tell(wanted, user_id, tell)

    async def _list(self, wanted: Wanted) -> PrizeList:
        status, tournament_id, after, limit = wanted
        async with self._database.connection() as connection:
            prizes = await self._prizes.list_all(
                connection, status=status, tournament_id=tournament_id, after=after, count_max=limit + 1
            )
        return _listed(prizes, limit)

    async def _list_of_users(self, wanted: Wanted, user_ids: Sequence[str]) -> Mapping[str, PrizeList]:
        status, tournament_id, after, limit = wanted
        async with self._database.connection() as connection:
            found = await self._prizes.list_of_users(
                connection, user_ids, status=status, tournament_id=tournament_id, after=after, count_max=limit + 1
            )
        return {user_id: _listed(prizes, limit) for user_id, prizes in found.items()}

    def _mark(self) -> tuple[int, int] | None:
        generation = None if self._feed is None else self._feed.prizes_generation()
        return None if generation is None else (generation, self._own_changes)

    async def _tell(self) -> None:
        # Whoever claims here and then lists here must not have to wait until this process hears of itself.
        self._own_changes += 1
        await announce(self._changes.prizes)

    async def claim(self, prize_id: str, *, key: str | None, only_user_id: str | None, actor: str) -> PrizeView:
        """Claim a prize. A repeat with the same idempotency key gets the same answer.

        Raises:
            InvalidError: a key that is too long.
            NotFoundError: `prize_not_found`.
            ForbiddenError: it is another player's (`only_user_id` is who asks).
            ConflictError: `already_claimed`, or `prize_voided`.
            GoneError: `prize_expired`.
        """
        if key is not None and not (0 < len(key) <= KEY_LENGTH_MAX and key.isprintable()):
            raise InvalidError([FieldError("Idempotency-Key", f"must be 1 to {KEY_LENGTH_MAX} printable characters")])
        number = _read_id(prize_id)
        prize = await self._claim(number, key, only_user_id, actor)
        await self._tell()
        return prize

    async def _claim(self, number: UUID, key: str | None, only_user_id: str | None, actor: str) -> PrizeView:
        now = clock.now()
        async with self._database.transaction() as connection:
            held, _ = await self._find(connection, number)
            if only_user_id is not None and held.user_id != only_user_id:
                raise ForbiddenError("This prize is another player's.")
            prize = await self._prizes.claim(connection, number, now, key, actor)
            if prize is not None:
                await self._outbox.add(
                    connection,
                    "prize.claimed",
                    {
                        "prize_id": str(prize.prize_id),
                        "user_id": prize.user_id,
                        "tournament_id": prize.tournament_id,
                        "occurrence": prize.occurrence,
                        "kind": prize.kind,
                        "amount": prize.amount,
                    },
                )
                return prize_view(prize)
            # Somebody claimed it first, or it cannot be claimed any more: the row says which.
            held, claim_key = await self._find(connection, number)
        if held.status == "claimed":
            if key is not None and key == claim_key:
                return prize_view(held)
            raise ConflictError("already_claimed", "This prize is claimed already.")
        if held.status == "voided":
            raise ConflictError("prize_voided", "This prize was voided.")
        raise GoneError("prize_expired", "This prize was not claimed in time.")

    async def void(self, prize_id: str, *, actor: str, reason: str | None) -> PrizeView:
        """Void a prize that is not claimed.

        Raises:
            NotFoundError: `prize_not_found`.
            ConflictError: `prize_not_pending`.
        """
        number = _read_id(prize_id)
        async with self._database.transaction() as connection:
            is_voided = await self._prizes.void(connection, number, clock.now(), actor, reason)
            held, _ = await self._find(connection, number)
            if is_voided:
                after = {"status": held.status, "user_id": held.user_id, "reason": reason}
                await record(connection, "prize.void", prize_id, before={"status": "pending"}, after=after)
        await self._tell()
        if not is_voided:
            raise ConflictError("prize_not_pending", f"This prize is {held.status}.")
        return prize_view(held)

    async def expire(self) -> int:
        """Expire what was not claimed in time; return how many prizes there were."""
        now = clock.now()
        count = 0
        while True:
            async with self._database.transaction() as connection:
                expired = await self._prizes.expire(connection, now, _EXPIRED_AT_ONCE)
            count += expired
            if expired:
                await self._tell()
            if expired < _EXPIRED_AT_ONCE:
                return count

    async def _find(self, connection: "Connection[Any]", prize_id: UUID) -> tuple[Prize, str | None]:
        found = await self._prizes.find(connection, prize_id)
        if found is None:
            raise _not_found()
        return found


def wanted_prizes(*, status: str | None, tournament_id: str | None, limit: int, cursor: str | None) -> Wanted:
    """Return which prizes a list is to have.

    Raises:
        InvalidError: an unknown status, a limit out of range, or a text that is no id or no cursor.
    """
    if status is not None and status not in _STATUSES:
        raise InvalidError([FieldError("status", f"must be one of {', '.join(_STATUSES)}")])
    check_limit(limit, LIST_MAX)
    if tournament_id is not None and not is_tournament_id(tournament_id):
        raise InvalidError([FieldError("tournament_id", "is no id of a tournament")])
    try:
        after = _FIRST if cursor is None else UUID(cursor)
    except ValueError:
        raise InvalidError([FieldError("cursor", "is not a cursor of this list; begin again without one")]) from None
    return Wanted(status, tournament_id, after, limit)


def _listed(prizes: Sequence[Prize], limit: int) -> PrizeList:
    return PrizeList(
        prizes=[prize_view(prize) for prize in prizes[:limit]],
        next_cursor=str(prizes[limit - 1].prize_id) if len(prizes) > limit else None,
    )


def _read_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _not_found() from None


def _not_found() -> NotFoundError:
    return NotFoundError("prize_not_found", "There is no such prize.")

"""Finds which ranking a read is about: by board, period, segment and bucket."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from grandstand import clock
from grandstand.domain.definitions import is_key
from grandstand.domain.errors import FieldError, InvalidError, NotFoundError, UnavailableError
from grandstand.domain.leaderboards import TOURNAMENT_PREFIX, Leaderboard
from grandstand.domain.periods import Period, parse_period_id, period_id
from grandstand.domain.rankings import WHOLE, Ranking, RankingName, bucket_part, segment_part
from grandstand.domain.scoring import SEGMENT_LENGTH_MAX
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.route_reads import Reads
from grandstand.storage.buckets import BucketStore
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.rankings import RankingStore

BUCKET_MAX = 2**31 - 1
OWN_BUCKET = "own"
T = TypeVar("T")
_KNOWN_MAX = 50_000
_ARCHIVED_MAX = 5_000


class Part(msgspec.Struct, frozen=True):
    """Which part of a board a read is about; both None for the whole. `bucket` is a number or `own`."""

    period: str | None = None
    segment: str | None = None
    bucket: str | None = None


class Target(msgspec.Struct, frozen=True):
    """What a read is about. `ranking` is None while nobody has scored there."""

    board: Leaderboard
    period: Period
    ranking: Ranking | None
    segment: str | None
    bucket: int | None

    @property
    def period_id(self) -> str:
        """Return the period's name in URLs."""
        return period_id(self.period.start)


class RankingFinder:
    """Resolves reads for one process, from memory while every change is heard of."""

    def __init__(
        self,
        catalog: LeaderboardCatalog,
        database: Database,
        leaderboards: LeaderboardStore,
        rankings: RankingStore,
        buckets: BucketStore,
        feed: ChangeFeed,
        stand_in: Reads | None = None,
    ) -> None:
        self._catalog = catalog
        self._database = database
        self._leaderboards = leaderboards
        self._rankings = rankings
        self._buckets = buckets
        self._feed = feed
        self._stand_in = stand_in
        self._known: dict[RankingName, Ranking | None] = {}
        self._running: dict[str, tuple[Period, Target]] = {}
        """What `known` has returned, with the board's period by its schedule then; found by what is in `_known`."""
        self._known_generation: int | None = None
        self._archived: dict[int, Leaderboard] = {}

    async def board(self, key: str) -> Leaderboard:
        """Return a board.

        Raises:
            NotFoundError: `leaderboard_not_found`.
            UnavailableError: it is not known here, and the database is out of reach.
        """
        board = self._catalog.get(key)
        if board is None and (is_key(key) or key.startswith(TOURNAMENT_PREFIX)):
            # It may have been made a moment ago through another process.
            board = await self._read(lambda connection: self._leaderboards.find(connection, key))
        if board is None:
            raise NotFoundError("leaderboard_not_found", f"There is no leaderboard {key!r}.")
        return board

    def known(self, key: str) -> Target | None:
        """Return what a read of the whole board as it runs now is about, if it is live or closed.

        None where `find` has to look, or to say what is wrong.
        """
        board, generation = self._catalog.get(key), self._feed.periods_generation()
        if board is None or board.windows is not None or generation is None or generation != self._known_generation:
            return None
        period = board.schedule.at(clock.now())
        running = self._running.get(key)
        if running is not None and running[0] == period and running[1].board is board:
            return running[1]
        name = RankingName(board.leaderboard_id, board.epoch, period.start, WHOLE)
        ranking = self._known.get(name)
        if ranking is None or ranking.name.epoch != name.epoch or ranking.state not in ("live", "closed"):
            return None
        target = Target(board, Period(ranking.name.started_at, ranking.ended_at), ranking, None, None)
        self._running[key] = period, target
        return target

    async def find(self, key: str, part: Part, user_id: str | None) -> Target:
        """Return what a read is about; `user_id` says whose bucket `own` is.

        Raises:
            InvalidError: a segment or bucket that cannot be.
            NotFoundError: `leaderboard_not_found`, `period_not_found`, or `not_ranked` for the bucket of a user who
                has none.
            UnavailableError: the database is needed and out of reach.
        """
        while True:
            board = await self.board(key)
            try:
                target = await self._locate(board, part, user_id)
                problem = None
            except NotFoundError as error:
                target, problem = None, error
            if target is not None and target.ranking is not None:
                return target
            # Nothing is there: true of the board as it is now, or of one that was replaced a moment ago?
            current = await self.board(key)
            if (current.leaderboard_id, current.revision) == (board.leaderboard_id, board.revision):
                if target is None:
                    raise problem or RuntimeError("nothing was located and nothing went wrong")
                return target

    async def _locate(self, board: Leaderboard, part: Part, user_id: str | None) -> Target:
        name, period = self._name(board, part)
        whole = await self._ranking(name, part)
        if part.period is not None and board.windows is None and period.start > clock.now():
            # Events may lie a little ahead: what they come to is shown once their period has begun.
            raise NotFoundError("period_not_found", f"The period {part.period!r} has not begun.")
        if part.period is not None and whole is None and board.windows is None and not self._is_current(board, period):
            raise NotFoundError("period_not_found", f"The leaderboard {board.key!r} has no period {part.period!r}.")
        if whole is not None:
            period = Period(whole.name.started_at, whole.ended_at)
            board = await self._as_of(board, whole)
        if part.segment is not None:
            self._check_segment(board, part.segment)
            ranking = await self._ranking(name._replace(part=segment_part(part.segment)), part)
            return Target(board, period, ranking, part.segment, None)
        if part.bucket is not None:
            bucket = await self._bucket(board, whole, part.bucket, user_id)
            ranking = await self._ranking(name._replace(part=bucket_part(bucket)), part)
            return Target(board, period, ranking, None, bucket)
        return Target(board, period, whole, None, None)

    async def _as_of(self, board: Leaderboard, whole: Ranking) -> Leaderboard:
        """Return the board by the definition that a period is read by: for an archived one, that of then."""
        if whole.state != "archived":
            return board
        found = self._archived.get(whole.ranking_id)
        if found is None:
            definition = await self._read(
                lambda connection: self._rankings.find_definition(connection, whole.ranking_id)
            )
            if definition is None:
                return board
            if len(self._archived) >= _ARCHIVED_MAX:
                self._archived = {}
            found = Leaderboard(board.leaderboard_id, board.key, definition, whole.name.epoch, board.revision)
            self._archived[whole.ranking_id] = found
        return found

    def generation(self, key: str, part: Part) -> int | None:
        """Return a number that changes with every known change of one period of the whole board, or None."""
        board, periods = self._catalog.get(key), self._feed.periods_generation()
        if board is None or periods is None or periods != self._known_generation:
            return None
        name, _ = self._name(board, Part(part.period))
        if name not in self._known:
            return None
        ranking = self._known[name]
        entries = self._feed.generation(ranking.ranking_id) if ranking is not None else 0
        return hash((board.leaderboard_id, board.revision, name, periods, self._feed.names_generation(), entries))

    async def bucket_of(self, whole: Ranking, user_id: str) -> int | None:
        """Return the bucket that a user is in, or None while the user has no score."""
        found = await self._read(lambda connection: self._buckets.find(connection, whole.ranking_id, [user_id]))
        return found.get(user_id)

    async def _read(self, work: "Callable[[Connection[Any]], Awaitable[T]]") -> T:
        """Read from the primary; while that is out of reach a replica has to do, and does not say what is missing."""
        try:
            return await self._database.read(work)
        except UnavailableError as error:
            if self._stand_in is None:
                raise
            found = await self._stand_in.read_old(work, error)
            if not found:
                raise
            return found

    def _name(self, board: Leaderboard, part: Part) -> tuple[RankingName, Period]:
        if part.period is None:
            period = board.schedule.at(clock.now())
        else:
            start = parse_period_id(part.period)
            if start is None:
                raise NotFoundError("period_not_found", f"The leaderboard {board.key!r} has no period {part.period!r}.")
            period = board.schedule.at(start)
            if period.start != start:
                # A period of an earlier schedule; its own ranking knows its end.
                period = Period(start, None)
        return RankingName(board.leaderboard_id, board.epoch, period.start, WHOLE), period

    def _is_current(self, board: Leaderboard, period: Period) -> bool:
        return board.schedule.at(clock.now()) == period

    async def _ranking(self, name: RankingName, part: Part) -> Ranking | None:
        ranking = await self._find(name)
        if ranking is not None and part.period is None and ranking.name.epoch != name.epoch:
            # An archive of another rule that began at the same moment: it is not what runs now.
            return None
        return ranking

    async def _find(self, name: RankingName) -> Ranking | None:
        generation = self._feed.periods_generation()
        if generation is not None:
            if generation != self._known_generation or len(self._known) > _KNOWN_MAX:
                self._known, self._running = {}, {}
                self._known_generation = generation
            if name in self._known:
                return self._known[name]
        known: dict[RankingName, Ranking | None] = self._known
        try:
            async with self._database.connection() as connection:
                found = await self._rankings.find(connection, [name])
                if not found:
                    # Afterwards, so that the catalog knows at least what made the ranking go.
                    await self._catalog.refresh(connection)
        except UnavailableError as error:
            if self._stand_in is None:
                raise
            found = await self._stand_in.read_old(lambda connection: self._rankings.find(connection, [name]), error)
            if not found:
                raise
            # Not remembered: it may have changed since.
            return found[0]
        ranking = found[0] if found else None
        if generation is not None:
            known[name] = ranking
        return ranking

    async def _bucket(self, board: Leaderboard, whole: Ranking | None, text: str, user_id: str | None) -> int:
        if board.definition.bucket_size is None:
            raise InvalidError([FieldError("bucket", f"the leaderboard {board.key!r} has no buckets")])
        if text == OWN_BUCKET and user_id is not None:
            bucket = await self.bucket_of(whole, user_id) if whole is not None and can_exist(user_id) else None
            if bucket is None:
                raise NotFoundError("not_ranked", f"This player has no entry on the leaderboard {board.key!r}.")
            return bucket
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:11]) <= BUCKET_MAX and len(text) <= 10):
            raise InvalidError([FieldError("bucket", "must be a number from 1 on, or 'own' where a user is named")])
        return int(text)

    def _check_segment(self, board: Leaderboard, segment: str) -> None:
        if board.definition.segment_by is None:
            raise InvalidError([FieldError("segment", f"the leaderboard {board.key!r} has no segments")])
        if not 0 < len(segment) <= SEGMENT_LENGTH_MAX or not can_exist(segment):
            raise InvalidError([FieldError("segment", f"must have 1 to {SEGMENT_LENGTH_MAX} characters")])


def can_exist(text: str) -> bool:
    """Whether a stored text can be this one; the engines refuse to be asked about NUL and lone surrogates."""
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False

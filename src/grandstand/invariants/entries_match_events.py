"""Entries of running rankings are what the stored events come to."""

from typing import Any

from grandstand.domain.folding import Value
from grandstand.invariants.check import EXAMPLES_MAX, Check, Look
from grandstand.invariants.expected_entries import Expected, could_be, expected_entry, stored_entry
from grandstand.invariants.recount import Candidates, Place, Recount
from grandstand.invariants.sampling import user_chunks
from grandstand.invariants.stored_boards import CountedBoard, Occurrence, StoredBoards, read_boards
from grandstand.storage.postgres import Connection

SEGMENTS_MAX = 1_000
"""Segments one period of a board may have; rankings of others are not made."""


async def _look(look: Look) -> None:
    async with look.snapshot() as connection:
        boards = await read_boards(look, connection)
        live: set[Place] = {tuple(row) for row in await look.rows(connection, "live_rankings")}
        comparison = _Comparison(look, connection, boards, live)
        recount = Recount(look, connection, boards)
        async for user_ids in user_chunks(look, connection, "scores"):
            await comparison.compare(recount, user_ids)


class _Comparison:
    """Compares chunks of users in one snapshot."""

    def __init__(self, look: Look, connection: "Connection[Any]", boards: StoredBoards, live: set[Place]) -> None:
        self._look = look
        self._connection = connection
        self._boards = boards
        self._live = live

    async def compare(self, recount: Recount, user_ids: list[str]) -> None:
        """Compare every entry of these users, and what should be one."""
        look, connection = self._look, self._connection
        stored: dict[str, dict[Place, Expected]] = {}
        for row in await look.rows(connection, "entries_of_users", user_ids):
            place = (row["leaderboard_id"], row["started_at"], row["part"])
            stored.setdefault(row["user_id"], {})[place] = stored_entry(row)
        banned = {row[0] for row in await look.rows(connection, "banned_of_users", user_ids)}
        attempts = {
            (row["user_id"], row["tournament_id"], row["occurrence"]): row["attempts"]
            for row in await look.rows(connection, "participants_of_users", user_ids)
        }
        homeless: dict[Place, str] = {}
        async for candidates in recount.count(user_ids):
            user_id = candidates.user_id
            held = stored.get(user_id, {})
            if candidates.is_partial:
                look.outcome.undecided += max(len(held), 1)
                continue
            if user_id in banned:
                for place in held:
                    look.outcome.looked_at += 1
                    self._add("the player is banned and has an entry", user_id, place)
                continue
            for place in sorted({*held, *candidates.values}):
                if place in self._live:
                    self._judge(candidates, place, held.get(place), attempts)
                elif place[0] not in candidates.doubtful:
                    homeless.setdefault(place, user_id)
        await self._check_rankings(homeless)
        rows = await look.rows(connection, "unequal_buckets", user_ids, EXAMPLES_MAX)
        look.outcome.add_rows(
            rows,
            lambda row: f"the entry of {row['user_id']} differs from the one in the bucket {row['bucket']}",
            "user_id",
            "leaderboard_id",
            "started_at",
        )

    def _judge(
        self,
        candidates: Candidates,
        place: Place,
        entry: Expected | None,
        attempts: dict[tuple[str, str, int], int],
    ) -> None:
        outcome = self._look.outcome
        each = self._boards.by_id[place[0]]
        values = candidates.values.get(place, [])
        if place[0] in candidates.doubtful or each.counts_since is None:
            outcome.undecided += 1
            return
        outcome.looked_at += 1
        user_id, definition = candidates.user_id, each.board.definition
        if each.board.windows is not None:
            self._judge_attempts(each, candidates, place, entry, attempts)
        elif entry is None:
            self._add("the player has events that count and no entry", user_id, place)
        elif not values:
            self._add("the entry follows from no stored event", user_id, place)
        else:
            self._compare(user_id, place, entry, expected_entry(definition, values))

    def _judge_attempts(
        self,
        each: CountedBoard,
        candidates: Candidates,
        place: Place,
        entry: Expected | None,
        attempts: dict[tuple[str, str, int], int],
    ) -> None:
        """Judge an entry of a tournament, which takes some of the events: as many as it has counted attempts.

        When it has taken every one, the entry is known. Else which ones it took depended on what was stored first, on
        rules that may have changed and on who had entered by then: the entry must be made of some of them.
        """
        user_id, values = candidates.user_id, candidates.values.get(place, [])
        window = next((window for window in each.occurrences if window.starts_at == place[1]), None)
        if window is None or window.is_moved or candidates.has_removals:
            # The window was another one before, or a lifted ban took away what attempts were counted for.
            if window is not None and entry is not None and not candidates.ever[place[0]]:
                self._add("the entry follows from no stored event", user_id, place)
            else:
                self._look.outcome.undecided += 1
            return
        taken = attempts.get((user_id, window.tournament_id, window.occurrence), 0)
        self._compare_attempts(user_id, place, window, entry, values, taken)

    def _compare_attempts(
        self, user_id: str, place: Place, window: Occurrence, entry: Expected | None, values: list[Value], taken: int
    ) -> None:
        definition = self._boards.by_id[place[0]].board.definition
        if entry is None:
            if taken:
                self._add("the player has attempts that count and no entry", user_id, place)
        elif not values:
            self._add("the entry follows from no stored event", user_id, place)
        elif taken == len(values):
            self._compare(user_id, place, entry, expected_entry(definition, values))
        elif not could_be(definition, values, entry):
            self._add(
                f"the entry of {entry.score} comes from none of the events that {window.tournament_id} could take",
                user_id,
                place,
            )

    def _compare(self, user_id: str, place: Place, entry: Expected, expected: Expected) -> None:
        if entry != expected:
            names = [name for name in Expected._fields if getattr(entry, name) != getattr(expected, name)]
            told = ", ".join(f"{name} {_told(entry, name)} instead of {_told(expected, name)}" for name in names)
            self._add(f"the entry has {told}", user_id, place)

    async def _check_rankings(self, homeless: dict[Place, str]) -> None:
        """Find what counts in rankings that do not exist. In rankings that are closed nothing counts any more."""
        known = {place: user_id for place, user_id in homeless.items() if self._is_certain(place)}
        if not known:
            return
        columns = [list(column) for column in zip(*known, strict=True)]
        for row in await self._look.rows(self._connection, "missing_rankings", *columns, SEGMENTS_MAX):
            place = (row["leaderboard_id"], row["started_at"], row["part"])
            self._add("the player has events that count in a ranking that does not exist", known[place], place)

    def _is_certain(self, place: Place) -> bool:
        each = self._boards.by_id[place[0]]
        return each.board.windows is None and each.counts_since is not None and not each.board.resets

    def _add(self, message: str, user_id: str, place: Place) -> None:
        leaderboard_id, started_at, part = place
        self._look.outcome.add(
            message,
            user_id=user_id,
            leaderboard=self._boards.by_id[leaderboard_id].board.key,
            period_started_at=started_at,
            part=part or None,
        )


def _told(entry: Expected, name: str) -> str:
    value = getattr(entry, name)
    return value.hex() or "nothing" if isinstance(value, bytes) else str(value)


ENTRIES_MATCH_EVENTS = Check(
    "entries_match_events",
    "Entries of a running ranking are what the stored events come to under the board's definition; none is missing.",
    _look,
)

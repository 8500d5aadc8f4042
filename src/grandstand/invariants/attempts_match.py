"""Attempts are counted once: as many as scoring events were taken, and players as many as have entered."""

from grandstand.domain.rankings import WHOLE
from grandstand.invariants.check import EXAMPLES_MAX, Check, Look
from grandstand.invariants.recount import Candidates, Recount
from grandstand.invariants.sampling import user_chunks
from grandstand.invariants.stored_boards import Occurrence, read_boards


async def _look(look: Look) -> None:
    outcome = look.outcome
    async with look.snapshot() as connection:
        wrong = await look.rows(connection, "miscounted_players", EXAMPLES_MAX)
        outcome.add_rows(
            wrong,
            lambda row: (
                f"{row['tournament_id']}/{row['occurrence']} counts {row['players']} players, "
                f"but {row['entered']} have entered"
            ),
            "tournament_id",
            "occurrence",
        )
        boards = await read_boards(look, connection)
        windows = {
            (window.tournament_id, window.occurrence): window
            for each in boards.by_id.values()
            for window in each.occurrences
        }
        recount = Recount(look, connection, boards)
        async for user_ids in user_chunks(look, connection, "participants"):
            rows = await look.rows(connection, "participants_of_users", user_ids)
            async for candidates in recount.count(user_ids):
                if candidates.is_partial:
                    outcome.undecided += 1
                    continue
                for row in rows:
                    window = windows.get((row["tournament_id"], row["occurrence"]))
                    if row["user_id"] == candidates.user_id and window is not None:
                        _judge(look, window, candidates, row["attempts"])


def _judge(look: Look, window: Occurrence, candidates: Candidates, attempts: int) -> None:
    ids = {
        "tournament_id": window.tournament_id, "occurrence": window.occurrence, "user_id": candidates.user_id
    }  # fmt: skip
    look.outcome.looked_at += 1
    most = candidates.ever.get(window.leaderboard_id, 0)
    least = 0
    if not window.is_moved:
        # In its one window; what a lifted ban took away may have been an attempt before.
        within = len(candidates.values.get((window.leaderboard_id, window.starts_at, WHOLE), ()))
        most = most if candidates.has_removals else within
        least = within if _takes_all(window) and not candidates.has_removals else 0
    if attempts > most:
        look.outcome.add(f"{attempts} attempts are counted, but there are only {most} events to count", **ids)
    elif attempts < least:
        look.outcome.add(f"{attempts} attempts are counted instead of {least}", **ids)


def _takes_all(window: Occurrence) -> bool:
    """Whether every event of the window that is processed counts: no limit, nobody to refuse, no window made late."""
    rules = window.definition
    is_open = rules.join == "open" and rules.max_players is None and rules.max_attempts is None
    # Once it is settled or cancelled, what comes is stored and counts no more.
    return is_open and rules.repeat is None and not window.is_changed and window.status in ("scheduled", "active")


ATTEMPTS_MATCH = Check(
    "attempts_match",
    "A tournament counts as many attempts as it took scoring events of a player, and as many players as have entered.",
    _look,
)

"""Begins an occurrence of a tournament: when the scheduler finds it due, or when it is ended before that."""

from typing import Any

from grandstand.domain.tournaments import Window, next_window
from grandstand.storage.ledger import Ledger
from grandstand.storage.outbox import Outbox
from grandstand.storage.postgres import Connection
from grandstand.storage.tournaments import Tournament, TournamentStore


async def begin_occurrence(
    connection: "Connection[Any]", ledger: Ledger, tournaments: TournamentStore, outbox: Outbox, item: Tournament
) -> None:
    """Make a scheduled occurrence active, schedule the one after it, and tell that it has begun.

    The caller holds the ledger alone, and announces the change once it is committed.
    """
    await tournaments.activate(connection, item)
    following = next_window(item.definition, Window(item.occurrence, item.starts_at, item.ends_at))
    if following is not None and await tournaments.insert_occurrences(connection, item.tournament_id, [following]):
        revision = await ledger.next_leaderboards_revision(connection)
        await tournaments.publish_windows(connection, item.tournament_id, item.leaderboard_id, revision)
    await outbox.add(
        connection,
        "tournament.started",
        {
            "tournament_id": item.tournament_id,
            "occurrence": item.occurrence,
            "starts_at": item.starts_at,
            "ends_at": item.ends_at,
        },
    )

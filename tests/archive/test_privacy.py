"""A player who is erased is erased from the archive, and an export has what was archived."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from grandstand import clock
from grandstand.operations.export_player import PlayerExporter
from grandstand.operations.known_tournaments import KnownTournaments
from grandstand.operations.read_player import PlayerReader
from grandstand.operations.read_tournament import TournamentReader
from grandstand.operations.rewrite_archives import ArchiveRewriter
from grandstand.storage import parquet
from grandstand.storage.archive_places import open_place
from grandstand.storage.player_exports import PlayerExports
from tests.archive.year import YEAR_END, Archive, live_through
from tests.support.core import Core, event

pytestmark = pytest.mark.anyio

NAME = "Zoë ✓ / 100%"
JANUARY = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _year_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: YEAR_END)


def named_in(archive: Archive) -> list[str]:
    """The files that hold the player's id."""
    found = []
    for path in archive.files():
        if path.suffix == ".parquet":
            rows = [row for chunk in parquet.read_rows(path, user_ids=None, chunk_events=1000) for row in chunk]
            if any(NAME in str(row["user_id"]) or "secret" in row["payload"] for row in rows):
                found.append(path.name)
        elif NAME in path.read_text():
            found.append(path.name)
    return found


async def test_an_erasure_reaches_the_archive(core: Core, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = await live_through(core, 60, months=[1, 2])
    hers = [
        event(NAME, 0, at=JANUARY, event_id=uuid4(), event_type=event_type, payload={"score": 9, "note": "secret"})
        for event_type in ("game_ended", "enemy_down")
        for _ in range(3)
    ]
    await core.apply(*hers, received_at=JANUARY)
    await archive.run()
    assert len(named_in(archive)) == 2
    await core.new_eraser().erase(NAME)
    monkeypatch.setattr(clock, "now", lambda: YEAR_END + timedelta(minutes=1))
    finisher = core.new_erasure_finisher()
    assert await finisher.finish() == 0, "the archive still names the player"
    rewriter = ArchiveRewriter(core.database, archive.archives, open_place(archive.url))
    assert await rewriter.rewrite() == 2
    assert named_in(archive) == []
    assert await finisher.finish() == 1
    assert await core.database.pool.fetchval("SELECT count(*) FROM archived_users WHERE user_id = $1", NAME) == 0
    await archive.check([*accepted, *hers])
    await archive.verify()
    assert len(named_files(archive)) == await core.database.pool.fetchval("SELECT count(*) FROM archive_files")
    assert await rewriter.rewrite() == 0


async def test_an_export_has_archived_and_live_events(core: Core, archive: Archive) -> None:
    await live_through(core, 20, months=[1])
    old, new = (event(NAME, number, at=JANUARY, event_id=uuid4()) for number in (1, 2))
    await core.apply(old, received_at=JANUARY)
    await core.apply(new, received_at=YEAR_END)
    before = await export(core, archive)
    await archive.run()
    assert await core.database.pool.fetchval("SELECT count(*) FROM events") == 1
    after = await export(core, archive)
    assert after == before
    assert [each["payload"] for each in after["events"]] == [{"score": 1}, {"score": 2}]


async def export(core: Core, archive: Archive) -> Any:
    known = KnownTournaments(core.database, core.tournaments, core.feed, age_max_seconds=0)
    ranks = TournamentReader(core.database, core.tournaments, known, core.prizes, core.reader)
    profiles = PlayerReader(
        core.database, core.players, core.bans, core.prizes, core.rankings, core.catalog, core.reader, ranks
    )
    exporter = PlayerExporter(core.database, PlayerExports(), archive.reader, profiles)
    with await exporter.export(NAME) as document:
        content = json.loads(document.read())
    for each in content["events"]:
        each.update({name: datetime.fromisoformat(each[name]) for name in ("occurred_at", "received_at")})
    return content


def named_files(archive: Archive) -> list[str]:
    return [path.name for path in archive.files() if path.suffix == ".parquet"]

"""A player who is erased is erased from the archive, and an export has what was archived."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from grandstand import clock
from grandstand.bootstrap.archiving import archive_once
from grandstand.bootstrap.core import EngineUnreachableError
from grandstand.operations.archive_events import ArchiveDiffersError
from grandstand.operations.count_events import EventCounter
from grandstand.operations.export_player import PlayerExporter
from grandstand.operations.known_tournaments import KnownTournaments
from grandstand.operations.read_player import PlayerReader
from grandstand.operations.read_tournament import TournamentReader
from grandstand.operations.restore_archive import ArchiveRestorer
from grandstand.settings import load_settings
from grandstand.storage import parquet
from grandstand.storage.archive_tokens import MARKER
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.player_exports import PlayerExports
from tests.archive.year import YEAR_END, Archive, live_through, partition
from tests.privacy.life import NAME, places_in_postgres, places_in_valkey
from tests.support.core import Core, event

pytestmark = pytest.mark.anyio

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
    rewriter = archive.rewriter()
    assert await rewriter.rewrite() == 2
    assert named_in(archive) == []
    assert await finisher.finish() == 1
    assert await core.database.pool.fetchval("SELECT count(*) FROM archived_users WHERE user_id = $1", NAME) == 0
    await archive.check([*accepted, *hers])
    await archive.verify()
    assert len(named_files(archive)) == await core.database.pool.fetchval("SELECT count(*) FROM archive_files")
    assert await rewriter.rewrite() == 0


@dataclass
class Erased:
    """A player with archived events, of whom nothing may be left in the end."""

    core: Core
    archive: Archive
    monkeypatch: pytest.MonkeyPatch

    async def live(self) -> None:
        await live_through(self.core, 20, months=[1])
        hers = event(NAME, 0, at=JANUARY, event_id=uuid4(), payload={"score": 9, "note": "secret"})
        await self.core.apply(hers, received_at=JANUARY)

    async def ask(self, *_: object) -> None:
        """Ask for the erasure, and let the scheduler do what it can by now."""
        await self.core.new_eraser().erase(NAME)
        self.monkeypatch.setattr(clock, "now", lambda: YEAR_END + timedelta(minutes=1))
        if await self.core.new_erasure_finisher().finish():
            await self.check()

    async def check(self) -> None:
        """Nothing says the id."""
        assert await places_in_postgres(self.core) | await places_in_valkey(self.core) == set()
        assert named_in(self.archive) == []

    async def end(self) -> None:
        """Let archive and scheduler go on; nothing may be left."""
        for _ in range(2):
            await self.archive.rewriter().rewrite()
            await self.archive.run(YEAR_END + timedelta(minutes=1))
            await self.core.new_erasure_finisher().finish()
        async with self.core.database.connection() as connection:
            assert await self.core.erasures.list_pending(connection, 1) == []
        await self.check()
        await self.archive.verify()

    async def restore(self, fence: Fence = no_fence) -> int:
        archive = self.archive
        restorer = ArchiveRestorer(
            self.core.database, self.core.ledger, archive.archives, archive.reader, archive.archiver(), fence=fence
        )
        (archive_id,) = await self.core.database.pool.fetchrow("SELECT max(archive_id) FROM event_archives")
        return await restorer.restore(archive_id, YEAR_END + timedelta(days=1))


@pytest.fixture
async def erased(core: Core, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Erased:
    made = Erased(core, archive, monkeypatch)
    await made.live()
    return made


async def test_a_restore_after_an_erasure_brings_no_id_back(erased: Erased) -> None:
    await erased.archive.run()
    await erased.ask()
    await erased.end()
    assert await erased.restore() == 21
    await erased.check()
    assert await erased.core.database.pool.fetchval("SELECT count(*) FROM events WHERE payload::text ~ 'secret'") == 0


@pytest.mark.parametrize("is_rewritten", [False, True])
async def test_an_erasure_while_an_archive_is_restored(erased: Erased, is_rewritten: bool) -> None:
    """The files have been read when it is asked for."""
    await erased.archive.run()

    async def ask(_: object) -> None:
        await erased.ask()
        if is_rewritten:
            await erased.archive.rewriter().rewrite()
            assert await erased.core.new_erasure_finisher().finish() == 0, "what was read says the id"

    if is_rewritten:
        with pytest.raises(ArchiveDiffersError):
            await erased.restore(ask)
    else:
        assert await erased.restore(ask) == 21
    await erased.end()


async def test_what_a_restore_that_died_has_left_is_erased(erased: Erased) -> None:
    await erased.core.database.pool.execute("CREATE TABLE restoring_7_x AS SELECT * FROM events")
    await erased.ask()
    await erased.end()


@pytest.mark.parametrize("step", ["exported", "verified", "detached"])
async def test_an_erasure_while_a_partition_is_archived(erased: Erased, step: str) -> None:
    async def on_step(reached: str) -> None:
        if reached == step:
            await erased.ask()

    await erased.archive.run(on_step=on_step)
    await erased.end()


async def test_a_file_that_is_missing_holds_up_nothing_but_its_erasure(
    erased: Erased, core_database_url: str, valkey_url: str
) -> None:
    await erased.archive.run()
    await live_through(erased.core, 20, months=[2])
    await erased.ask()
    for path in erased.archive.files():
        if path.name != MARKER:
            path.unlink()
    settings = load_settings(
        database_url=core_database_url, valkey_url=valkey_url, valkey_prefix=erased.core.prefix,
        archive_url=erased.archive.url, database_pool_min=1,
    )  # fmt: skip
    with pytest.raises(EngineUnreachableError):
        await archive_once(settings)
    assert await erased.archive.states() == {partition(1): ["dropped"], partition(2): ["dropped"]}
    assert await erased.core.new_erasure_finisher().finish() == 0


async def test_an_export_has_archived_and_live_events(core: Core, archive: Archive) -> None:
    await live_through(core, 20, months=[1])
    old, new = (event(NAME, number, at=JANUARY, event_id=uuid4()) for number in (1, 2))
    await core.apply(old, received_at=JANUARY)
    await core.apply(new, received_at=YEAR_END)
    # Nothing leaves before it is counted, and the first events that are kept then are exported, too.
    await EventCounter(core.database, core.event_log).count()
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

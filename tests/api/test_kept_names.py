"""Display names that a process knows: of few players all, never older than a change that it hears of."""

from collections import Counter
from typing import Any

import pytest

from grandstand.operations import player_names
from tests.api.conftest import Site
from tests.support.core import event

pytestmark = pytest.mark.anyio
BOARD = {"operator": "best", "field": "score"}


@pytest.fixture
def asked(keeping_site: Site, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Whose names were looked up in PostgreSQL."""
    monkeypatch.setattr(player_names, "_ALL_AGAIN_SECONDS", 0.0)
    counts: Counter[str] = Counter()
    find = keeping_site.core.players.find_names

    async def counted(connection: Any, user_ids: Any) -> Any:
        counts.update(user_ids)
        return await find(connection, user_ids)

    monkeypatch.setattr(keeping_site.core.players, "find_names", counted)
    return counts


async def begin(site: Site, key: str, *users: str) -> None:
    """Make a board with these players, of whom the first has a name; nothing is known of names then."""
    assert (await site.put(f"/api/leaderboards/{key}", BOARD | {"event_type": key})).status_code == 201
    await site.core.apply(*(event(user, 10 + place, event_type=key) for place, user in enumerate(users)))
    await name(site, users[0], "First")


async def name(site: Site, user: str, text: str) -> None:
    assert (await site.put(f"/api/players/{user}", {"display_name": text})).status_code == 200
    await site.hear()


async def shown(site: Site, key: str, user: str) -> str | None:
    found: str | None = (await site.get(f"/api/leaderboards/{key}/users/{user}")).json()["display_name"]
    return found


async def test_of_few_players_all_names_are_known_after_one_look(keeping_site: Site, asked: Counter[str]) -> None:
    await begin(keeping_site, "few", "few-a", "few-b", "few-c")
    assert await shown(keeping_site, "few", "few-b") is None
    assert await shown(keeping_site, "few", "few-a") == "First"
    assert await shown(keeping_site, "few", "few-c") is None
    assert asked == {"few-b": 1}
    await name(keeping_site, "few-c", "Third")
    assert await shown(keeping_site, "few", "few-c") == "Third"
    await name(keeping_site, "few-c", "Other")
    assert await shown(keeping_site, "few", "few-c") == "Other"


async def test_a_name_that_nobody_told_of_is_shown_once_all_are_old(
    keeping_site: Site, asked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player_names, "_ALL_AGE_MAX_SECONDS", 0.0)
    await begin(keeping_site, "aged", "aged-a", "aged-b")
    assert await shown(keeping_site, "aged", "aged-b") is None
    core = keeping_site.core
    async with core.database.transaction() as connection:
        await core.players.put(connection, "aged-b", "Second", None, None)
    assert await shown(keeping_site, "aged", "aged-b") == "Second"


async def test_of_many_players_each_is_looked_up_once(
    keeping_site: Site, asked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player_names, "ALL_MAX", 1)
    await begin(keeping_site, "many", "many-a", "many-b", "many-c")
    await name(keeping_site, "many-c", "Third")
    for _ in range(2):
        names = [await shown(keeping_site, "many", f"many-{each}") for each in "abc"]
        assert names == ["First", None, "Third"]
    assert asked == {"many-a": 1, "many-b": 1, "many-c": 1}


async def test_too_many_names_are_forgotten_a_few_at_a_time(
    keeping_site: Site, asked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player_names, "ALL_MAX", 0)
    monkeypatch.setattr(player_names, "_KNOWN_MAX", 3)
    monkeypatch.setattr(player_names, "_FORGOTTEN_AT_ONCE", 1)
    users = [f"over-{number}" for number in range(6)]
    await begin(keeping_site, "over", *users)
    for user in users:
        assert await shown(keeping_site, "over", user) == ("First" if user == users[0] else None)
    asked.clear()
    assert await shown(keeping_site, "over", users[-1]) is None
    assert asked == {}
    assert await shown(keeping_site, "over", users[0]) == "First"
    assert asked == {users[0]: 1}

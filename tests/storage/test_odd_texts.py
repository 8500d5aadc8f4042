"""Ids of users and what boards keep of payloads pass through a batch's statements as they are, whatever they hold."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grandstand.domain.folding import Tally, Value
from tests.support.core import Core, minutes

pytestmark = pytest.mark.anyio

ODD = st.sampled_from(["", "NULL", "null", '"', "\\", '\\"', "{}", "{", ",", '","', " a ", "\t", "\x7f", "\U0001f3c6"])
TEXTS = ODD | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
TIES = st.sampled_from([b"", b"\x00", b"\\", b'"', b"\x80,\xff"])


async def test_odd_texts_are_banned_found_and_kept(core: Core) -> None:
    loop = asyncio.get_running_loop()

    async def look(
        users: list[str], banned: set[str], kept: dict[str, tuple[str | None, bytes]], operator: Any
    ) -> None:
        async with core.database.transaction() as connection:
            await connection.execute("DELETE FROM entries; DELETE FROM players")
            for user_id in banned:
                await core.bans.put(connection, user_id, minutes(0), "cheats")
            assert await core.bans.find(connection, users) == banned & set(users)
            tally = Tally(operator, "desc")
            for number, (user_id, (metadata, tie)) in enumerate(kept.items(), 1):
                tally.add(user_id, Value(-number, tie, minutes(0), str(UUID(int=number)), metadata))
            entries = await core.entries.fold(connection, {7: tally})
            assert {entry.user_id: (entry.metadata, entry.tie_key, entry.score) for entry in entries} == {
                user_id: (*each, -number) for number, (user_id, each) in enumerate(kept.items(), 1)
            }

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(TEXTS, max_size=6),
        st.sets(TEXTS, max_size=4),
        st.dictionaries(TEXTS, st.tuples(st.none() | TEXTS, TIES), max_size=6),
        st.sampled_from(["best", "latest", "sum", "count"]),
    )
    def hold(users: list[str], banned: set[str], kept: dict[str, tuple[str | None, bytes]], operator: str) -> None:
        wanted = [*users, *sorted(banned)[:2]]
        asyncio.run_coroutine_threadsafe(look(wanted, banned, kept, operator), loop).result(30)

    await asyncio.to_thread(hold)

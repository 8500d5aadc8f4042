"""Lists that we write as the texts of arrays are taken apart by PostgreSQL into what they were."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grandstand.storage.array_texts import array_of_texts
from tests.support.core import Core

pytestmark = pytest.mark.anyio

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
ODD_TEXTS = st.sampled_from(["", "NULL", "null", '"', "\\", '\\"', "{", "}", ",", '","', " a ", "\n", "\U0001f3c6"])


async def test_any_texts_come_back(core: Core) -> None:
    loop = asyncio.get_running_loop()

    async def read_back(text: str) -> list[str | None]:
        found: list[str | None] = await core.database.pool.fetchval("SELECT $1::text::text []", text)
        return found

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(TEXTS | ODD_TEXTS, max_size=6) | st.lists(TEXTS | ODD_TEXTS | st.none(), max_size=6))
    def hold(texts: list[str | None]) -> None:
        future = asyncio.run_coroutine_threadsafe(read_back(array_of_texts(texts)), loop)
        assert future.result(30) == texts

    await asyncio.to_thread(hold)

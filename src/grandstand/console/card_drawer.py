"""Keeps the pictures of public boards: strangers may ask for any of them, as often as they like."""

import asyncio
import time
from functools import partial

from grandstand.api.services import Services
from grandstand.console.board_card import ROWS, CardRow, draw_card
from grandstand.domain.errors import UnavailableError
from grandstand.operations.answer_cache import AnswerCache

CARD_SECONDS = 300
"""Age at which a picture is drawn anew: where it is shown, others keep it for days."""

_CARDS_MAX = 100
_WAITING_MAX = 8
_REST_SHARE = 9.0
"""After drawing, this times as long nobody draws: whatever strangers ask for, it takes a tenth of a core at most."""


class CardDrawer:
    """Draws pictures for one process, one after the other and not too many."""

    def __init__(self, api: Services) -> None:
        self._api = api
        self._cards: AnswerCache[str, bytes] = AnswerCache(
            "board_cards", age_max_seconds=CARD_SECONDS, weight_max=_CARDS_MAX
        )
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._rests_until = 0.0

    async def get(self, key: str) -> bytes:
        """Return the picture of a board that everyone may see.

        Raises:
            UnavailableError: others are to be drawn first.
            GrandstandError: what reading the board raises.
        """
        return await self._cards.get(key, lambda: 0, lambda: self._draw(key))

    async def _draw(self, key: str) -> bytes:
        if self._waiting >= _WAITING_MAX:
            raise UnavailableError("Other pictures are drawn right now; try again.")
        self._waiting += 1
        try:
            async with self._turn:
                await asyncio.sleep(max(0.0, self._rests_until - time.monotonic()))
                title = (await self._api.definer.get(key)).title or key
                ranks = await self._api.reader.page(key, limit=ROWS)
                rows = [
                    CardRow(each.rank, each.display_name or each.user_id, each.score, each.user_id)
                    for each in ranks.entries
                ]
                began_at = time.monotonic()
                card = await asyncio.to_thread(partial(draw_card, key=key), title, ranks.total, rows)
                now = time.monotonic()
                self._rests_until = now + _REST_SHARE * (now - began_at)
                return card
        finally:
            self._waiting -= 1

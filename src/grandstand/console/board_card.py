"""The picture that stands for a public board where its address is shared: title and top ten, as a PNG file."""

import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from grandstand.console.card_text import fit, width_of, writable, write

SIZE = (1200, 630)
ROWS = 10

_GROUND, _SURFACE, _TEXT, _SOFT, _ACCENT = "#f5f6f9", "#ffffff", "#171c26", "#525c6c", "#2757c9"
_TITLE_CHARACTERS_MAX = 80
_NAME_CHARACTERS_MAX = 48


class CardRow(NamedTuple):
    """A place on the board."""

    rank: int
    name: str
    score: int
    user_id: str = ""
    """What stands for a name whose letters are in no font of this machine."""


def draw_card(title: str, players: int, rows: Sequence[CardRow], *, key: str = "") -> bytes:
    """Return the picture; some 30 ms of computing, however long the names are. `key` stands for a title in no font."""
    image = Image.new("RGB", SIZE, _GROUND)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, SIZE[0], 12), fill=_ACCENT)
    shown = _shown((title, key), _TITLE_CHARACTERS_MAX) or "Leaderboard"
    write(pen, (60, 44), fit(pen, shown, 52, 1080), 52, _TEXT)
    write(pen, (60, 118), f"{players:,} player{'' if players == 1 else 's'}", 26, _SOFT)
    pen.rounded_rectangle((48, 168, SIZE[0] - 48, SIZE[1] - 40), 18, fill=_SURFACE, outline="#d9dee7", width=2)
    if not rows:
        write(pen, (90, 200), "Nobody has a score here yet.", 28, _SOFT)
    # Two columns, or a wide one for those who fit into it.
    wide = 1032 if len(rows) <= ROWS // 2 else 466
    for number, row in enumerate(rows[:ROWS]):
        column, line = divmod(number, ROWS // 2)
        left, top = 84 + column * 566, 196 + line * 76
        score = f"{row.score:,}"
        room = width_of(pen, score, 28)
        name = _shown((row.name, row.user_id), _NAME_CHARACTERS_MAX) or "A player"
        write(pen, (left, top), f"{row.rank:,}", 28, _ACCENT if row.rank <= 3 else _SOFT)
        write(pen, (left + 70, top), fit(pen, name, 28, wide - 90 - room), 28, _TEXT)
        write(pen, (left + wide - room, top), score, 28, _TEXT)
    file = io.BytesIO()
    image.quantize(64).save(file, "PNG")
    return file.getvalue()


def _shown(texts: Sequence[str], characters_max: int) -> str | None:
    """Return the first text that can be written."""
    return next((found for text in texts if (found := writable(text[:characters_max]))), None)

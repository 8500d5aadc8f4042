"""The picture that stands for a public board where its address is shared: title and top ten, as a PNG file."""

import io
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

SIZE = (1200, 630)
ROWS = 10

_GROUND, _SURFACE, _TEXT, _SOFT, _ACCENT = "#f5f6f9", "#ffffff", "#171c26", "#525c6c", "#2757c9"
_FONTS = ("NotoSans-Regular.ttf", "DejaVuSans.ttf")
"""Fonts of the system that know many scripts, the first that is there; else the one that the library brings (Latin)."""

_TITLE_CHARACTERS_MAX = 80
_NAME_CHARACTERS_MAX = 48


class CardRow(NamedTuple):
    """A place on the board."""

    rank: int
    name: str
    score: int


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw_card(title: str, players: int, rows: Sequence[CardRow]) -> bytes:
    """Return the picture; some 30 ms of computing, however long the names are."""
    image = Image.new("RGB", SIZE, _GROUND)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, SIZE[0], 12), fill=_ACCENT)
    pen.text((60, 44), _fit(pen, title[:_TITLE_CHARACTERS_MAX], 52, 1080), font=_font(52), fill=_TEXT)
    pen.text((60, 118), f"{players:,} players", font=_font(26), fill=_SOFT)
    pen.rounded_rectangle((48, 168, SIZE[0] - 48, SIZE[1] - 40), 18, fill=_SURFACE, outline="#d9dee7", width=2)
    if not rows:
        pen.text((90, 200), "Nobody has a score here yet.", font=_font(28), fill=_SOFT)
    for number, row in enumerate(rows[:ROWS]):
        column, line = divmod(number, ROWS // 2)
        left, top = 84 + column * 530, 196 + line * 76
        score = f"{row.score:,}"
        room = 410 - pen.textlength(score, font=_font(28))
        name = _fit(pen, row.name[:_NAME_CHARACTERS_MAX], 28, room)
        pen.text((left, top), f"{row.rank:,}", font=_font(28), fill=_ACCENT if row.rank <= 3 else _SOFT)
        pen.text((left + 70, top), name, font=_font(28), fill=_TEXT)
        pen.text((left + 500, top), score, font=_font(28), fill=_TEXT, anchor="ra")
    file = io.BytesIO()
    image.quantize(64).save(file, "PNG")
    return file.getvalue()


def _fit(pen: ImageDraw.ImageDraw, text: str, size: int, width: float) -> str:
    """Return as much of a text as there is room for."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    if pen.textlength(shown, font=_font(size)) <= width:
        return shown
    while shown and pen.textlength(shown + "…", font=_font(size)) > width:
        shown = shown[:-1]
    return shown + "…"


@cache
def _font(size: int) -> Font:
    for name in _FONTS:
        try:
            # Without shaping: a text that somebody chose costs as much as any other.
            return ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.BASIC)
        except OSError:
            continue
    return ImageFont.load_default(size)

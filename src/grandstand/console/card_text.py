"""Writes text of any script into a picture, as far as the machine has fonts for it.

A character is written with the first font that has it. Symbols that no font has, emoji above all, are left out; a text
with letters that no font has is not written at all, and whoever asks takes another one, such as an id: no empty boxes.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import groupby

from PIL import ImageDraw, ImageFont, features

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

FONTS = (
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "NotoEmoji-Regular.ttf",
)
"""Files of fonts that are looked for in the system's folders; behind them comes what the library brings (Latin)."""

_CAN_SHAPE = features.check("raqm") and features.check("fribidi")
_NOWHERE = "\U0010fffe"
"""No character, so every font shows it as it shows one that it lacks."""

_CHARACTERS_KNOWN = 20_000
_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))
"""What chooses between forms of the character before it; by themselves fonts show them as a circle of dots."""

_SPACES = ("Cc", "Zl", "Zp", "Zs")
_INVISIBLE = ("Cf", "Cn")
"""Categories of characters that would show nothing, or turn what stands around them."""

_MARKS = ("Mn", "Mc", "Me")
"""Categories of what stands at a letter, and is nothing without one."""

_ORNAMENTS = ("So", "Sk", "Sm", "Mn", "Me")
"""Categories of what a name can do without: symbols and marks."""


def writable(text: str) -> str | None:
    """Return a text as it can be written, without what is left out; None when letters of it are in no font."""
    kept = []
    for character in text:
        category = unicodedata.category(character)
        if category in _SPACES:
            kept.append(" ")
        elif character in _SELECTORS:
            continue
        elif category not in _INVISIBLE and _font_number(character) is not None:
            kept.append(character)
        elif category not in (*_INVISIBLE, *_ORNAMENTS):
            return None
    found = "".join(kept).strip()
    if all(unicodedata.category(each) in _MARKS for each in found):
        return None
    is_hard = any(_is_shaped(character) for character in found)
    return found if not (is_hard and _only_font(found) is None) else None


def fit(pen: ImageDraw.ImageDraw, text: str, size: int, width: float) -> str:
    """Return as much of a text as there is room for."""
    if width_of(pen, text, size) <= width:
        return text
    least, most = 0, len(text)
    while least < most:
        middle = (least + most + 1) // 2
        if width_of(pen, text[:middle] + "…", size) <= width:
            least = middle
        else:
            most = middle - 1
    return text[:least].rstrip() + "…"


def width_of(pen: ImageDraw.ImageDraw, text: str, size: int) -> float:
    """Return how many pixels wide a text is."""
    return sum(pen.textlength(part, font=font) for part, font in _parts(text, size))


def write(pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, color: str) -> None:
    """Write a text whose first line begins at a place; every font stands on the same line."""
    left, top = place
    base = top + size
    for part, font in _parts(text, size):
        pen.text((left, base), part, font=font, fill=color, anchor="ls")
        left += pen.textlength(part, font=font)


def _parts(text: str, size: int) -> Iterator[tuple[str, Font]]:
    """Yield a text in pieces, each with the font that has all of it."""
    if any(_is_shaped(character) for character in text):
        yield text, _font(_only_font(text.rstrip("…")) or 0, size, is_shaped=True)
        return
    for number, group in groupby(text, lambda each: _font_number(each) or 0):
        yield "".join(group), _font(number, size, is_shaped=False)


def _is_shaped(character: str) -> bool:
    """Whether a character is written from right to left, or changes with its neighbours."""
    return unicodedata.bidirectional(character) in ("R", "AL") or unicodedata.category(character) in ("Mn", "Mc")


def _only_font(text: str) -> int | None:
    """Return the first font that has every character; None when none has, or texts cannot be shaped here."""
    if not _CAN_SHAPE:
        return None
    return next((n for n in range(len(_names())) if all(each.isspace() or _has(each, n) for each in text)), None)


@lru_cache(_CHARACTERS_KNOWN)
def _font_number(character: str) -> int | None:
    return next((number for number in range(len(_names())) if _has(character, number)), None)


@lru_cache(_CHARACTERS_KNOWN)
def _has(character: str, number: int) -> bool:
    font = _font(number, 20, is_shaped=False)
    return bytes(font.getmask(character)) != bytes(font.getmask(_NOWHERE))


@cache
def _names() -> tuple[str, ...]:
    """Return the fonts that are there; the empty name is the library's own."""
    found = []
    for name in FONTS:
        try:
            ImageFont.truetype(name, 20)
        except OSError:
            continue
        found.append(name)
    return (*found, "")


@lru_cache(64)
def _font(number: int, size: int, *, is_shaped: bool) -> Font:
    name = _names()[number]
    if not name:
        return ImageFont.load_default(size)
    # Most texts are laid out without shaping: one that somebody chose then costs as much as any other.
    engine = ImageFont.Layout.RAQM if is_shaped else ImageFont.Layout.BASIC
    return ImageFont.truetype(name, size, layout_engine=engine)

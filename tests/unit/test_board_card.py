"""The picture of a board: names of any script and length stay in their place, and none becomes a row of boxes."""

import io
import time

import pytest
from PIL import Image, ImageChops

from grandstand.console.board_card import SIZE, CardRow, draw_card

IN_NO_FONT = "\U000f0000"
"""For private use: no font of a system has it."""

HOSTILE = (
    "\u85e4\u4e95\u8061\u592a", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u0645\u0631\u062d\u0628\u0627",
    "\u202e\u202e reversed", "\U0001f680\U0001f469\u200d\U0001f680", "Z" + "\u0334" * 60, "\x00\x07\n\t", " ",
    "W" * 255, "\u0928\u092e\u0938\u094d\u0924\u0947", IN_NO_FONT * 48,
)  # fmt: skip


def picture(*rows: CardRow, title: str = "Weekly race") -> Image.Image:
    with Image.open(io.BytesIO(draw_card(title, len(rows), rows, key="weekly"))) as image:
        return image.convert("RGB")


def is_like(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures show the same; each has colours of its own choice, so they differ by a shade."""
    return max(most for _, most in ImageChops.difference(one, other).getextrema()) < 48


def row(name: str, user_id: str = "player-1") -> CardRow:
    return CardRow(1, name, 9_000, user_id)


def test_a_name_without_a_font_is_shown_as_its_id() -> None:
    assert is_like(picture(row(f"Ada {IN_NO_FONT}")), picture(row("player-1")))
    assert is_like(picture(title=IN_NO_FONT), picture(title="weekly"))


def test_what_a_name_can_do_without_is_left_out() -> None:
    assert is_like(picture(row("\u2060Ada\u202e")), picture(row("Ada")))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_stays_in_its_place(name: str) -> None:
    began_at = time.process_time()
    # The score says how far a name may reach: what is right of the first column is the same whoever is in it.
    others = [row("Ada")] * 5
    found, expected = picture(row(name), *others, title=name), picture(row("Ada"), *others, title="Ada")
    assert found.size == SIZE
    right = (590, 180, *SIZE)
    assert is_like(found.crop(right), expected.crop(right))
    score = (450, 190, 590, 240)
    assert is_like(found.crop(score), expected.crop(score))
    assert time.process_time() - began_at < 3.0


def test_what_chooses_a_form_is_nothing_by_itself() -> None:
    assert is_like(picture(row("\U0001f3f3\ufe0f\u200d\U0001f308")), picture(row("player-1")))
    assert is_like(picture(row("Ada\ufe0e")), picture(row("Ada")))

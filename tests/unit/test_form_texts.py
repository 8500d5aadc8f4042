"""Forms are read as the standard library reads them, where they are as browsers write them; others are refused."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grandstand.console.form_texts import FIELDS_MAX, read_pairs

texts = st.text(st.characters(exclude_categories=["Cs"]))
pieces = st.lists(
    st.sampled_from(["a", "=", "==", "&", "+", "_", " ", "\r\n", "\n", "=\n", "%3D", "%0a", "%25", "%C3%A9"])
)


@given(st.lists(st.tuples(texts, texts), max_size=8))
def test_what_was_typed_is_what_is_read(typed: list[tuple[str, str]]) -> None:
    assert read_pairs(urlencode(typed).encode()) == typed


@given(pieces.map("".join))
@example("a==%0A&=&b=c=d")
def test_odd_forms_mean_what_they_mean_elsewhere(text: str) -> None:
    assert read_pairs(text.encode()) == parse_qsl(text, keep_blank_values=True, errors="strict")


@pytest.mark.parametrize("text", ["a=%", "a=%%", "a=%4", "a=%zz", "%g1=a", "a=%C3", "a=\u00e9", "a=1&" * FIELDS_MAX])
def test_what_no_browser_sends_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"form|decode"):
        read_pairs(text.encode())

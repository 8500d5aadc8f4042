"""Long lists as the texts of arrays, which PostgreSQL takes apart: the driver asks of every element what it is."""

from collections.abc import Iterable, Sequence

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


def array_text(elements: Iterable[str]) -> str:
    """Return the text of an array of numbers, ids, or of what is quoted already."""
    return "{" + ",".join(elements) + "}"


def array_of_texts(texts: Sequence[str | None]) -> str:
    """Return the text of an array of any texts; None is NULL."""
    if texts and None not in texts:
        joined = '","'.join(texts)  # type: ignore[arg-type]
        # One look for all of them: hardly any text holds what has to be escaped.
        if "\\" not in joined and joined.count('"') == 2 * (len(texts) - 1):
            return '{"' + joined + '"}'
    return array_text("NULL" if text is None else '"' + text.translate(_ESCAPES) + '"' for text in texts)

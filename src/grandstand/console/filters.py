"""Forms that look for something: what is wrong with a field stands beside it, as in every other form."""

from collections.abc import Awaitable, Sequence
from typing import NamedTuple, TypeVar

from grandstand.api.parameters import Query
from grandstand.console.forms import FormField, by_field
from grandstand.domain.errors import InvalidError

T = TypeVar("T")


class Filters(NamedTuple):
    """The fields of such a form, what was typed into them, and what is wrong with it by field."""

    fields: Sequence[FormField]
    typed: dict[str, str]
    errors: dict[str, str]

    @property
    def status(self) -> int:
        """The status of the page that shows them."""
        return 422 if self.errors else 200

    @property
    def kept(self) -> dict[str, str]:
        """What an address repeats, so that other pages of a list and what is done to its rows stay within it."""
        return {name: text for name, text in self.typed.items() if text}


def filters_of(query: Query, fields: Sequence[FormField], wrong: InvalidError | None = None) -> Filters:
    """Return a form as it was filled in; what is wrong with no field of it stands under the empty name."""
    typed = {item.name: query.text(item.name) or "" for item in fields}
    return Filters(fields, typed, {} if wrong is None else by_field(wrong.errors, fields))


async def look(query: Query, fields: Sequence[FormField], asked: Awaitable[T], nothing: T) -> tuple[T, Filters]:
    """Return what was found, or `nothing` where a field is wrong, beside the form."""
    try:
        return await asked, filters_of(query, fields)
    except InvalidError as error:
        return nothing, filters_of(query, fields, error)

"""Rate limits: what is counted, how much of it is allowed, and what one look at a count says. Pure."""

import math
from dataclasses import dataclass
from functools import cached_property

import msgspec

_EAGER_SHARE = 0.005
"""Share of a quota that each process may admit before the shared count has heard of it: 2 % for four of them."""

_EAGER_UNTIL = 0.75
_TOLD_SOON_SHARE = 1 / 3


@dataclass(frozen=True, eq=False)
class RateLimit:
    """`quota` units in a window that begins with the first of them; whoever wants more is blocked for a while.

    `name` is what clients are told, `counter` keeps the counts of different limits apart. With `block_seconds` of 0
    nobody is blocked: whoever wants more waits for the end of the window.
    """

    name: str
    counter: str
    quota: int
    window_seconds: int
    block_seconds: int

    @cached_property
    def eager_units(self) -> int:
        """Units that one process may admit for a subject without waiting for the shared count."""
        return int(self.quota * _EAGER_SHARE)

    @cached_property
    def told_soon_units(self) -> int:
        """Units so near to `eager_units` that they are told soon, so that the next ones need not wait."""
        return math.ceil(self.eager_units * _TOLD_SOON_SHARE)

    @cached_property
    def eager_until(self) -> int:
        """Units used beyond which every further one waits for the shared count."""
        return int(self.quota * _EAGER_UNTIL)


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """Whether a subject may go on, the units it has left, and the seconds until it has all of them again."""

    limit: RateLimit
    is_admitted: bool
    remaining: int
    reset_seconds: int

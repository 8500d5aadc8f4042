"""How often a process that answers or stores all the time looks for cycles of garbage, and in what."""

import gc

_YOUNG_OBJECTS = 10_000
"""New objects after which the young ones are looked through. Python's default, 700, is a few requests: each look costs
more than it finds, for nearly everything here goes by its count of references."""


def spare_what_stays() -> None:
    """Take all that is there out of every later look, and look less often. For the end of a process's start.

    Code, routes and pools are 150,000 objects that stay to the end; to walk through them took a sixth of what a request
    costs. Cycles that are made later are found as ever, a little later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])

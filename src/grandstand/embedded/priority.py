"""Who goes first where the processors of one machine are short: whoever answers players.

What was acknowledged may be stored and ranked a moment later; a reply that waits behind a batch is late at once.
"""

BEHIND_PLAYERS = 5
"""Niceness of PostgreSQL, workers and the scheduler of one tree: they get about a third of what an HTTP process and
Valkey get where all want one processor, and everything where those want nothing."""


def nice_prefix(niceness: int) -> list[str]:
    """Return what goes before a command to have it run at a niceness (0 to 19); nothing for 0.

    A program that every system has, not a call: between the fork and the program of a process with threads nothing may
    run.
    """
    return ["nice", "-n", str(niceness)] if niceness else []

"""Loads SQL and Lua from the files beside this module: one statement or script a file."""

from functools import cache
from importlib.resources import files

_ROOT = files(__package__)


@cache
def load(name: str) -> str:
    """Return the text of `sql/<name>`, such as `events/find_known_ids.sql`.

    Raises:
        FileNotFoundError: there is no such file in the package.

    """
    return (_ROOT / "sql" / name).read_text(encoding="utf-8")


@cache
def load_lua(name: str) -> str:
    """Return the text of `lua/<name>`, such as `publish.lua`.

    Raises:
        FileNotFoundError: there is no such file in the package.

    """
    return (_ROOT / "lua" / name).read_text(encoding="utf-8")

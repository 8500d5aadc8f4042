"""SQL stands in files, and values reach it as parameters: no source puts a statement together."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from grandstand.storage import queries

PACKAGE = Path(queries.__file__).parents[1]
STATEMENT = re.compile(
    r"^\s*(?:SELECT\s+\S|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|TRUNCATE\s|MERGE\s+INTO\s"
    r"|(?:CREATE|ALTER|DROP)\s+(?:TABLE|INDEX|SCHEMA|DATABASE|VIEW|FUNCTION|ROLE|USER|SEQUENCE)\s|WITH\s+\w+\s+AS\s*\()"
)
RUNS = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "cursor", "prepare", "exec_driver_sql"}
"""Methods of the drivers that take a statement first."""

BEFORE_THERE_IS_A_SCHEMA = {
    "storage/migrate.py": {
        "SELECT pg_try_advisory_xact_lock(%s)",
        "SELECT set_config('search_path', %s, true)",
        "SELECT FROM pg_namespace WHERE nspname = %s",
        "CREATE SCHEMA IF NOT EXISTS {}",  # composed by psycopg.sql, which quotes identifiers
    },
    "embedded/postgres.py": {"CREATE DATABASE "},  # read by a server of our own alone, with a constant behind it
}
"""The only statements in Python: what must happen before the files' own can run."""

FILLED = {
    "storage/event_archives.py": 1,  # names of partitions, made of a date, which are looked at before
    "storage/parquet.py": 1,  # paths of temporary files, quoted
    "storage/event_log.py": 1,  # a partition's name and bounds, which are made of a date and cannot be parameters
    "storage/erasures.py": 1,  # names of tables, which PostgreSQL has quoted
    "storage/migrate.py": 1,  # colons are escaped for SQLAlchemy
}
"""How many statements from files are changed before they run, by source."""


@cache
def trees() -> dict[Path, ast.Module]:
    """The sources as the parser reads them: once, and not while tests are gathered, which each process does."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a source but its documentation."""
    documentation = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation:
            yield node.value


def test_no_statement_stands_in_a_source() -> None:
    for path, tree in trees().items():
        found = {text for text in texts(tree) if STATEMENT.match(text)}
        assert found <= BEFORE_THERE_IS_A_SCHEMA.get(name_of(path), set()), path


def test_no_statement_is_put_together() -> None:
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in RUNS:
                first = node.args[0] if node.args else None
                assert not isinstance(first, ast.JoinedStr | ast.BinOp), f"{path}:{node.lineno}"


def test_no_file_is_filled_in() -> None:
    """`queries.load(…)` is the whole statement: nothing is formatted into it, replaced or added."""
    for path, tree in trees().items():
        filled = 0
        for node in ast.walk(tree):
            changed: ast.expr | None = None
            if isinstance(node, ast.Attribute):
                changed = node.value
            elif isinstance(node, ast.BinOp):
                changed = node.left
            filled += isinstance(changed, ast.Call) and ast.unparse(changed.func) == "queries.load"
        assert filled == FILLED.get(name_of(path), 0), path


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("SELECT 1", True), ("  update players set a = 1", False), ("UPDATE players SET a = 1", True),
        ("DELETE FROM events WHERE id = ", True), ("WITH x AS (", True), ("Select a player", False),
        ("DELETE the board", False),
    ],
)  # fmt: skip
def test_a_statement_is_recognised(text: str, is_one: bool) -> None:
    assert bool(STATEMENT.match(text)) is is_one

"""Connections go back to their pool as they are: no statement may leave anything behind in its session."""

import re
from pathlib import Path

import grandstand

SQL = Path(next(iter(grandstand.__path__))) / "storage" / "sql"
OWN_SESSIONS = ("migrate", "migrations", "parquet")
"""Run on connections that nobody else gets: of upgrades, and of DuckDB."""

LEFT_BEHIND = re.compile(
    r"\A\s*SET\s+(?!LOCAL\b)|\A\s*(LISTEN|PREPARE)\b|set_config\([^()]*,\s*false\s*\)|pg_(try_)?advisory_lock"
    r"|\bWITH HOLD\b|\bTEMP(ORARY)? TABLE\b",
    re.IGNORECASE,
)


def left_behind(text: str) -> list[str]:
    """Return what the statements of a text leave in their session."""
    statements = re.sub(r"--.*", "", text).split(";")
    return [match.group(0).strip() for each in statements for match in LEFT_BEHIND.finditer(each)]


def test_no_statement_leaves_anything_behind() -> None:
    statements = [path for path in SQL.rglob("*.sql") if path.relative_to(SQL).parts[0] not in OWN_SESSIONS]
    assert len(statements) > 100
    wrong = {str(path.relative_to(SQL)): left_behind(path.read_text()) for path in statements}
    assert {name: each for name, each in wrong.items() if each} == {}


def test_what_leaves_something_behind_is_seen() -> None:
    for text in (
        "SET work_mem = '1GB'", "SET work_mem TO 1", "SELECT set_config('work_mem', $1, false)",
        "SELECT pg_advisory_lock(1)", "SELECT pg_try_advisory_lock(1)", "LISTEN changes",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CREATE TEMP TABLE t (n int)",
    ):  # fmt: skip
        assert left_behind(text), text
    for text in (
        "SET LOCAL work_mem = 1", "SELECT set_config('a', $1, true)", "UPDATE t\nSET n = 1\nWHERE m",
        "SELECT pg_advisory_xact_lock(1)",
    ):  # fmt: skip
        assert not left_behind(text), text

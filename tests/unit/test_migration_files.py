"""Migrations from 0017 on take no lock for long and leave older programs their tables: a list of rules, checked.

A rule may be broken where a file says so and why, in a line of its own: `-- allowed: RULE: REASON`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from grandstand.storage import queries

FIRST = 17
"""Those before were made for small deployments, and are never changed."""

FILES = sorted((Path(queries.__file__).parent / "sql" / "migrations").glob("*.sql"))
VERSIONS = sorted((Path(queries.__file__).parent / "migrations" / "versions").glob("v*.py"))
QUOTED = re.compile(r"\$\$.*?\$\$|'(?:[^']|'')*'", re.DOTALL)
VOLATILE = r"(?:nextval|random|gen_random_uuid|uuidv7|clock_timestamp|statement_timestamp)\s*\("

RULES = {
    "create-index": r"CREATE (?:UNIQUE )?INDEX",
    "column-type": r"ALTER COLUMN \S+ (?:SET DATA )?TYPE\b",
    "not-null": r"SET NOT NULL|ADD COLUMN (?!.*\bDEFAULT\b)[^,]*\bNOT NULL",
    "rewrite": rf"ADD COLUMN [^,]*(?:DEFAULT {VOLATILE}|GENERATED|serial\b)",
    "constraint": r"ADD (?:CONSTRAINT \S+ )?(?:CHECK|FOREIGN KEY|UNIQUE|PRIMARY KEY|EXCLUDE)\b"
    r"(?!.*(?:NOT VALID|USING INDEX))|ADD COLUMN [^,]*\b(?:REFERENCES|UNIQUE|CHECK)\b",
    "long-lock": r"^(?:LOCK|TRUNCATE|CLUSTER|VACUUM|REINDEX|REFRESH)\b|SET (?:UN)?LOGGED|SET TABLESPACE",
    "older-programs": r"\bDROP (?:TABLE|COLUMN|VIEW|FUNCTION|SEQUENCE|TRIGGER|CONSTRAINT)\b|\bRENAME\b",
}
"""What no statement about a table that was there before may hold, and what to do instead in docs/decisions/0036."""


def findings(text: str) -> Iterator[str]:
    """The rules that the text of a migration breaks and does not say so."""
    allowed = set(re.findall(r"^-- allowed: ([a-z-]+): \S.*$", text, re.MULTILINE))
    plain = re.sub(r"--[^\n]*", "", QUOTED.sub("''", text))
    statements = [" ".join(each.split()) for each in plain.split(";") if each.strip()]
    new = set(re.findall(r"CREATE (?:TABLE|VIEW) (?:IF NOT EXISTS )?(\w+)", plain, re.IGNORECASE))
    locked, moves = set(), False
    for statement in statements:
        table = _table_of(statement)
        if table in new:
            continue
        for rule, pattern in RULES.items():
            if re.search(pattern, statement, re.IGNORECASE) and not (
                rule == "older-programs" and re.search(r"SET works_from =", plain, re.IGNORECASE)
            ):
                yield from {rule} - allowed
        is_work = bool(
            re.match(r"UPDATE (?!schema_version)|DELETE|INSERT|WITH|ALTER TABLE \w+ VALIDATE", statement, re.I)
        )
        if table is not None and not is_work:
            locked.add(table)
        moves = moves or is_work
    for statement in statements:
        locked |= set(re.findall(r"REFERENCES (\w+)", statement, re.IGNORECASE)) - new
    if len(locked) > 1:
        yield from {"two-tables"} - allowed
    if locked and moves:
        yield from {"data-under-lock"} - allowed


def _table_of(statement: str) -> str | None:
    """The table that a statement locks against writers."""
    found = re.match(
        r"(?:ALTER TABLE|DROP TABLE|LOCK TABLE|TRUNCATE)(?: IF EXISTS| ONLY)? (\w+)"
        r"|CREATE (?:UNIQUE )?INDEX.*? ON (?:ONLY )?(\w+)"
        r"|CREATE (?:OR REPLACE )?TRIGGER .*? ON (\w+)",
        statement,
        re.IGNORECASE,
    )
    return next((each for each in found.groups() if each), None) if found else None


@pytest.mark.parametrize("path", [path for path in FILES if int(path.stem) >= FIRST], ids=lambda path: path.stem)
def test_a_migration_holds_no_lock_for_long(path: Path) -> None:
    assert list(findings(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "path", [path for path in VERSIONS if int(path.stem[1:5]) >= FIRST], ids=lambda path: path.stem
)
def test_statements_stand_in_the_file_of_the_migration(path: Path) -> None:
    """So that they are looked at above; an index that is built on the side is all that its migration does."""
    body = path.read_text(encoding="utf-8").partition("def upgrade() -> None:\n")[2]
    assert re.fullmatch(r'    run_sql\("\d{4}\.sql"\)\n|    build_index\([^;]*\)\n', body)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("CREATE TABLE a (b int NOT NULL UNIQUE); CREATE INDEX a_by_b ON a (b); INSERT INTO a SELECT 1", []),
        ("ALTER TABLE events ADD COLUMN a text, ADD COLUMN b text NOT NULL DEFAULT ''", []),
        ("CREATE INDEX events_by_a ON events (a)", ["create-index"]),
        ("-- allowed: create-index: a row a key\nCREATE INDEX api_keys_by_a ON api_keys (a)", []),
        ("-- allowed: create-index:\nCREATE INDEX api_keys_by_a ON api_keys (a)", ["create-index"]),
        ("ALTER TABLE entries ALTER COLUMN score TYPE numeric", ["column-type"]),
        ("ALTER TABLE entries ALTER score SET DATA TYPE numeric, ALTER COLUMN a SET DATA TYPE int", ["column-type"]),
        ("ALTER TABLE entries ALTER COLUMN total SET NOT NULL", ["not-null"]),
        ("ALTER TABLE entries ADD COLUMN a int NOT NULL", ["not-null"]),
        ("ALTER TABLE entries ADD COLUMN a uuid DEFAULT gen_random_uuid()", ["rewrite"]),
        ("ALTER TABLE entries ADD COLUMN a bigint GENERATED ALWAYS AS IDENTITY", ["rewrite"]),
        ("ALTER TABLE entries ADD CONSTRAINT a CHECK (score > 0)", ["constraint"]),
        ("ALTER TABLE entries ADD CONSTRAINT a CHECK (score > 0) NOT VALID", []),
        ("ALTER TABLE entries VALIDATE CONSTRAINT a", []),
        ("ALTER TABLE entries VALIDATE CONSTRAINT a; ALTER TABLE entries ADD COLUMN b int", ["data-under-lock"]),
        ("ALTER TABLE entries ADD COLUMN a bigint REFERENCES rankings", ["constraint", "two-tables"]),
        ("TRUNCATE entries", ["long-lock"]),
        ("lock table entries", ["long-lock"]),
        ("ALTER TABLE players DROP COLUMN country", ["older-programs"]),
        ("ALTER TABLE players DROP COLUMN country; UPDATE schema_version SET works_from = '0021'", []),
        ("ALTER TABLE players RENAME COLUMN country TO land", ["older-programs"]),
        ("ALTER TABLE players ADD COLUMN a int; ALTER TABLE entries ADD COLUMN a int", ["two-tables"]),
        ("CREATE TABLE a (b text REFERENCES players); ALTER TABLE entries ADD COLUMN a int", ["two-tables"]),
        ("ALTER TABLE players ADD COLUMN a int; UPDATE players SET a = 1", ["data-under-lock"]),
        ("COMMENT ON TABLE players IS 'DROP TABLE entries'; -- RENAME", []),
    ],
)  # fmt: skip
def test_a_broken_rule_is_found(text: str, broken: list[str]) -> None:
    assert list(findings(text)) == broken

"""Files of definitions: what is written is read back as the same, in every format, and mistakes are named."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grandstand.client.board_files import Format, format_of, read_definitions, read_rule, write_definitions
from grandstand.client.boards import compare
from grandstand.client.errors import UsageError
from grandstand.domain.definitions import check_definition
from grandstand.domain.errors import InvalidError
from grandstand.domain.leaderboards import LeaderboardDefinition, TieBreak, Tier
from grandstand.domain.plausibility import Plausibility

KEYS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True).filter(lambda key: key != "user")
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
PATHS = TEXTS.filter(lambda text: all(text.split(".")))
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1)
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans(), st.floats(-1e6, 1e6))


PLAUSIBILITIES = st.builds(
    Plausibility,
    score_max=st.none() | NUMBERS,
    duration_field=st.just("seconds"),
    duration_min_seconds=st.floats(0.5, 100),
    events_per_minute_max=st.none() | st.integers(1, 9),
)


@st.composite
def definitions(draw: st.DrawFn) -> LeaderboardDefinition:
    operator = draw(st.sampled_from(["best", "latest", "sum", "count"]))
    may_tie = operator in ("best", "latest")
    percents = sorted(draw(st.sets(st.floats(0.5, 100), max_size=3)))
    segment = draw(st.none() | PATHS)
    return LeaderboardDefinition(
        event_type=draw(st.from_regex(r"[A-Za-z0-9_.:-]{1,50}", fullmatch=True)),
        operator=operator,
        field=draw(PATHS),
        title=draw(st.none() | TEXTS),
        where=draw(st.none() | st.dictionaries(PATHS, SCALARS, max_size=3)),
        order=draw(st.sampled_from(["asc", "desc"])),
        period=draw(st.sampled_from(["all_time", "daily", "cron: 0 6 * * 1"])),
        timezone=draw(st.sampled_from(["UTC", "Europe/Berlin"])),
        visibility=draw(st.sampled_from(["public", "private"])),
        min_score=draw(st.none() | NUMBERS.filter(lambda number: number < 0)),
        max_score=draw(st.none() | NUMBERS.filter(lambda number: number >= 0)),
        segment_by=segment,
        keep=tuple(draw(st.lists(PATHS, max_size=3, unique=True))),
        tiers=tuple(Tier(f"t{number}", top_percent=percent) for number, percent in enumerate(percents)),
        bucket_size=None if segment is not None else draw(st.none() | st.integers(2, 100)),
        tie_breaks=tuple(TieBreak(path, "asc") for path in draw(st.lists(PATHS, max_size=3))) if may_tie else (),
        plausibility=draw(st.none() | PLAUSIBILITIES),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boards")


@pytest.mark.parametrize("form", Format)
@given(boards=st.dictionaries(KEYS, definitions(), max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(folder: Path, form: Format, boards: dict[str, LeaderboardDefinition]) -> None:
    for definition in boards.values():
        check_definition(definition)
    file = folder / f"boards.{form.value}"
    file.write_text(write_definitions(boards, form), encoding="utf-8")
    found = read_definitions(str(file), None)
    assert {change.kind for change in compare(found, boards, prune=True)} <= {"unchanged"}
    assert found.keys() == boards.keys()


def read(folder: Path, name: str, text: str) -> Any:
    (folder / name).write_text(text)
    return read_definitions(str(folder / name), None)


def test_yaml_that_would_be_taken_for_something_else(folder: Path) -> None:
    fields = "{event_type: 2024-01-01, operator: count, where: {day: 2024-01-01, on: yes}}"
    text = f"leaderboards: {{2024-01-01: {fields}}}"
    with pytest.raises(UsageError, match="is not YAML"):
        read(folder, "truth.yaml", text.replace("on: yes", "{a: b}: 1"))
    found = read(folder, "dates.yaml", text.replace("on: yes", "'on': 'yes'"))
    assert found["2024-01-01"].event_type == "2024-01-01"
    assert found["2024-01-01"].where == {"day": "2024-01-01", "on": "yes"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("d.toml", "[leaderboards.a]\nevent_type='x'\noperator='count'\nwhere={day=2024-01-01}", "write dates as text"),
        ("d.toml", "[leaderboards.a]\nevent_type='x'\noperator='count'\n[leaderboards.a]", "is not TOML"),
        ("d.toml", "[boards.a]", "must hold 'leaderboards'"),
        ("d.yaml", "a: &a {event_type: x}\nleaderboards: {a: {<<: *a, operator: count}}", "merge keys .<<. are"),
        ("d.json", '{"leaderboards": {"a": {}, "a": {}}}', "'a' is there twice"),
        ("d.json", "leaderboards: {}", "is not JSON"),
        ("d.yaml", "leaderboards: {2024: {event_type: x, operator: count}}", "put it in quotes"),
        ("d.yaml", "leaderboards: &a {b: *a}", "a value that JSON has not"),
        ("d.yaml", "leaderboards: {a: {event_type: x, operator: count, min_score: 1e400}}", r"JSON|min_score"),
        ("d.yaml", "leaderboards: {a: {event_type: x, operator: count, min_score: .nan}}", "has not"),
    ],
)  # fmt: skip
def test_mistakes_are_named(folder: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(folder, name, text)


def test_a_condition_of_null_needs_yaml(folder: Path) -> None:
    boards = {"a": LeaderboardDefinition(event_type="x", operator="count", where={"team": None})}
    (folder / "null.yaml").write_text(write_definitions(boards, Format.YAML))
    assert read_definitions(str(folder / "null.yaml"), None) == boards
    with pytest.raises(UsageError, match="TOML has no null"):
        write_definitions(boards, Format.TOML)


def test_json_is_json(folder: Path) -> None:
    boards = {"a": LeaderboardDefinition(event_type="x", operator="count", where={"team": None, "name": "zoë"})}
    text = write_definitions(boards, format_of("boards.json", None))
    assert list(json.loads(text)["leaderboards"]) == ["a"]
    assert read(folder, "tabs.json", text.replace("  ", "\t")) == boards


def test_conditions_of_one_and_true_differ() -> None:
    one, true = (
        {"a": LeaderboardDefinition(event_type="x", operator="count", where={"n": value})} for value in (1, True)
    )
    [change] = compare(one, true, prune=False)
    assert (change.kind, change.fields) == ("changed", (("where", {"n": 1}, {"n": True}),))


def test_a_rule_stands_alone_or_among_others(folder: Path) -> None:
    alone = folder / "rule.json"
    alone.write_text('{"event_type": "x", "operator": "count"}')
    assert read_rule(str(alone), "any").event_type == "x"
    among = folder / "boards.toml"
    among.write_text("[leaderboards.a]\nevent_type = 'y'\noperator = 'count'\n")
    assert read_rule(str(among), "a").event_type == "y"
    with pytest.raises(UsageError, match="has no leaderboard 'b'"):
        read_rule(str(among), "b")


def test_the_format_is_told_by_the_suffix() -> None:
    assert [format_of(name, None) for name in ("a.yml", "a.YAML", "a.toml", "a.json", "-")] == [
        "yaml", "yaml", "toml", "json", "yaml",
    ]  # fmt: skip
    assert format_of("a.yaml", Format.TOML) is Format.TOML
    with pytest.raises(UsageError):
        format_of("boards", None)


def test_global_is_never_pruned() -> None:
    board = LeaderboardDefinition(event_type="x", operator="count")
    kinds = {change.key: change.kind for change in compare({"global": board, "a": board}, {}, prune=True)}
    assert kinds == {"global": "kept", "a": "deleted"}


def test_wrong_definitions_of_the_strategy_would_show() -> None:
    with pytest.raises(InvalidError):
        check_definition(LeaderboardDefinition(event_type="x", operator="sum"))

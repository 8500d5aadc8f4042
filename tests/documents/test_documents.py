"""What the documents say of the code is what the code says."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from grandstand.api.problems import CODES, REJECTION_CODES
from grandstand.domain.plausibility import QUARANTINE_REASONS
from grandstand.domain.scores import UnrankedReason
from grandstand.invariants.registry import CHECKS
from grandstand.settings import settings_table

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "bench").glob("*.md"),
    *(ROOT / "soak").glob("*.md"),
]
SOURCES = sorted((ROOT / "src" / "grandstand").rglob("*.py"))


def read(*names: str) -> str:
    return ROOT.joinpath(*names).read_text(encoding="utf-8")


def first_cells(text: str, heading: str) -> list[str]:
    """The codes in the first column of the table under a heading."""
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    (found,) = [part for part in section if part.startswith(heading)]
    return re.findall(r"^\| `([^`]+)`", found, flags=re.MULTILINE)


def test_readme_has_the_table_of_settings() -> None:
    found = re.search(r"<!-- settings: .*?-->\n(.*?)\n<!-- /settings -->", read("README.md"), flags=re.DOTALL)
    assert found is not None
    assert found[1] == settings_table(), "write it anew with `grandstand settings --markdown`"


def test_readme_names_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), flags=re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", read("README.md"))) | {"up", "test"}
    assert named <= targets
    assert re.search(r"^make up\b", read("README.md"), flags=re.MULTILINE)
    assert re.search(r"^make test\b", read("README.md"), flags=re.MULTILINE)


def test_every_problem_is_listed_with_its_status_and_meaning() -> None:
    text = read("docs", "errors.md")
    assert first_cells(text, "Problems") == list(CODES)
    for code, (status, meaning) in CODES.items():
        assert f"| `{code}` | {status} | {meaning} |" in text


def test_every_rejection_and_every_reason_is_listed() -> None:
    text = read("docs", "errors.md")
    assert first_cells(text, "Rejected events") == list(REJECTION_CODES)
    for code, meaning in REJECTION_CODES.items():
        assert f"| `{code}` | {meaning} |" in text
    reasons = [*get_args(UnrankedReason), *QUARANTINE_REASONS]
    assert sorted(first_cells(text, "Events that are stored")) == sorted(reasons)


def test_no_code_is_raised_that_is_not_listed() -> None:
    raised = re.compile(r'\b(NotFoundError|ConflictError|TooLargeError|EventError)\(\s*"([a-z_]+)"')
    for path in SOURCES:
        for kind, code in raised.findall(path.read_text(encoding="utf-8")):
            assert code in (REJECTION_CODES if kind == "EventError" else CODES), f"{code} in {path.name}"


def test_every_check_is_listed_with_its_promise() -> None:
    text = read("docs", "verify.md")
    assert first_cells(text, "The checks") == [check.name for check in CHECKS]
    for check in CHECKS:
        assert f"| `{check.name}` | {check.promise} |" in text


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = [name for group in project["optional-dependencies"].values() for name in group]
    text = read("docs", "decisions", "0002-libraries.md")
    for requirement in [*project["dependencies"], *extras]:
        name = re.match(r"[A-Za-z0-9-]+", requirement)
        assert name is not None
        assert re.search(rf"(?<![\w-]){re.escape(name[0])}(?![\w-])", text), name[0]


def test_every_decision_has_the_same_parts_and_is_listed() -> None:
    listed = re.findall(r"\[(\d{4})\]\(([^)]+)\)", read("docs", "decisions", "README.md"))
    assert listed == [(path.name[:4], path.name) for path in DECISIONS]
    for path in DECISIONS:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}: ")
        for part in ("Context", "Decision", "Consequences", "What enforces it"):
            assert f"\n## {part}\n" in text, f"{path.name}: {part}"
        assert re.search(r"\n## Decision\n\n\*\*[^*]+\*\*", text), f"{path.name}: the decision in one line"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_to_paste_say_that_they_send_json(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for command in re.findall(r"^ *curl .* -d '\{.*$", text, flags=re.MULTILINE):
        assert "Content-Type: application/json" in command, command


def test_readme_leads_to_every_document() -> None:
    found, left = set(), [ROOT / "README.md"]
    while left:
        path = left.pop()
        found.add(path)
        targets = re.findall(r"\]\(([^)#]+\.md)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        near = {(path.parent / target).resolve() for target in targets if not target.startswith("http")}
        # Decisions and the map of the code are for who changes it: a way through them is none for who uses it.
        left += [each for each in near - found if each.parent in (ROOT / "docs", ROOT / "docs" / "operating")]
    written = {*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "operating").glob("*.md")}
    assert written - found == set()


def test_the_threat_model_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[a-z_/]+\.py)(?:::(\w+))?`", read("SECURITY.md"))
    assert len(named) > 10
    for name, test in named:
        assert f"def {test}(" in read(name) if test else (ROOT / name).exists(), f"{name}::{test}"


def test_architecture_and_decisions_name_files_that_exist() -> None:
    for path in [ROOT / "ARCHITECTURE.md", *DECISIONS]:
        for name in re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.(?:py|lua|sql|sh|md))`", path.read_text(encoding="utf-8")):
            places = [ROOT / name, ROOT / "src/grandstand" / name, ROOT / "src/grandstand/storage" / name]
            assert any(place.exists() for place in places), f"{name} in {path.name}"

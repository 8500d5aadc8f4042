"""The look-out for credentials finds what it is there for, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.leaks import leaks
from tests.support.server import Keys

ROOT = Path(__file__).resolve().parents[2]
TOKEN = ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJhZGEifQ", "c2lnbmF0dXJlLXNpZ25hdHVyZQ"))


@pytest.mark.parametrize("secret", [*Keys().environment().values(), "gs_server_" + "aB3" * 21, TOKEN])
@pytest.mark.parametrize("text", ["{}", "key={} x", '{{"Authorization":"Bearer {}"}}', "url?key={}&b"])
def test_credentials_are_found(secret: str, text: str) -> None:
    assert leaks(text.format(secret))
    assert secret not in str(leaks(text.format(secret)))


@pytest.mark.parametrize("text", ["gs_server_***", "gs_server_…", "eyJhbGciOiJIUzI1NiJ9", "a gs_admin_ key", ""])
def test_other_words_are_not(text: str) -> None:
    assert not leaks(text)


def test_a_test_that_leaks_fails(tmp_path: Path) -> None:
    key = "gs_admin_" + "k" * 20
    lines = {
        "printed": f"print('{key}')",
        "on_stderr": f"sys.stderr.write('{key}')",
        "logged": f"logging.getLogger('x').warning('a %s', '{key}')",
        "quiet": "print('nothing')",
    }
    written = [f"def test_{name}() -> None:\n    {line}\n" for name, line in lines.items()]
    (tmp_path / "test_written.py").write_text("\n".join(["import logging, sys", *written]))
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.leaks", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )
    failed = re.findall(r"^FAILED \S+::test_(\w+)", result.stdout, flags=re.MULTILINE)
    assert failed == ["printed", "on_stderr", "logged"], result.stdout
    assert key not in "".join(re.findall(r"^FAILED.*", result.stdout, flags=re.MULTILINE))

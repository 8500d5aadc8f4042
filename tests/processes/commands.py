"""Runs commands that are to fail."""

import os
import subprocess
import sys


def run_refused(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command that is to fail; return its exit code and its one sentence, without the name of the command."""
    result = subprocess.run(
        [sys.executable, "-m", "grandstand", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    sentences = [line for line in result.stderr.splitlines() if line.startswith("grandstand: ")]
    assert len(sentences) == 1, result.stderr
    assert sentences[0].endswith(".")
    return result.returncode, sentences[0].removeprefix("grandstand: ")

"""Set the project up in `.venv` with nothing but Python 3.11 or newer: `make setup`.

Only the standard library is used, and this file must also parse on an older Python, because its first task is to find
a newer one. Running it again repairs an interrupted set-up, and does nothing when nothing has changed.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements.lock"
STAMP = VENV / ".setup-stamp"
LOG = VENV / "setup.log"
OLDEST = (3, 11)
INTERPRETERS = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")

# Used only where the system has neither ensurepip nor pip; pinned, so that what runs is what was reviewed.
PIP_VERSION = "26.0.1"
PIP_SHA256 = "bdb1b08f4274833d62c1aa29e20907365a2ceb950410df15fc9521bad440122b"


class SetupError(Exception):
    """The set-up cannot go on. The message is one sentence for the person who ran it."""


def main() -> None:
    if sys.version_info < OLDEST:
        python = find_python()
        os.execv(python, [python, str(Path(__file__).resolve())])
    with only_one_at_a_time():
        stamp = expected_stamp()
        if STAMP.is_file() and STAMP.read_text() == stamp and works(str(VENV_PYTHON)):
            return
        STAMP.unlink(missing_ok=True)
        install()
        STAMP.write_text(stamp)
    say("Ready: the command is .venv/bin/grandstand (`make up` starts it).")


def install() -> None:
    if not works(str(VENV_PYTHON)):
        say(f"Creating .venv with Python {sys.version.split()[0]} ...")
        make_venv()
    pip = find_pip()
    count = sum("==" in line for line in REQUIREMENTS.read_text().splitlines() if line[:1].isalnum())
    say(f"Installing the locked packages (up to {count}; the first time takes about a minute) ...")
    run_pip([*pip, "install", "--require-hashes", "-r", str(REQUIREMENTS)])
    run_pip([*pip, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])


def expected_stamp() -> str:
    """What a finished set-up is for: these files, in this folder (scripts hold its path), by this set-up."""
    digest = hashlib.sha256(str(ROOT).encode())
    for path in (REQUIREMENTS, ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest() + "\n"


@contextlib.contextmanager
def only_one_at_a_time() -> "Iterator[None]":
    """Two set-ups at once would write over each other; the second waits. The lock is on a file that always exists."""
    with REQUIREMENTS.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another set-up of this folder ...")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def find_python() -> str:
    for name in INTERPRETERS:
        path = shutil.which(name)
        if path and works(path):
            return path
    raise SetupError("Python 3.11 or newer is needed and none of " + ", ".join(INTERPRETERS) + " on the PATH is.")


def works(python: str) -> bool:
    """Whether the interpreter starts and is new enough. One of a removed Python, or a stub on the PATH, is not."""
    check = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    with contextlib.suppress(OSError):
        return subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0
    return False


def make_venv() -> None:
    if VENV.exists():
        shutil.rmtree(VENV)
    # pip is added apart: on Debian `python3 -m venv` fails as a whole when python3-venv is not installed.
    result = subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(VENV)], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise SetupError(f"Python could not create .venv: {last_line(result.stderr or result.stdout)}.")


def find_pip() -> "list[str]":
    """The command that installs into .venv: its own pip, the system's from outside, or one downloaded for this run."""
    own = [str(VENV_PYTHON), "-m", "pip"]
    if succeeds([*own, "--version"]):
        return own
    if succeeds([str(VENV_PYTHON), "-m", "ensurepip", "--default-pip"]):
        return own
    system = [sys.executable, "-m", "pip", "--python", str(VENV_PYTHON)]
    if succeeds([*system, "--version"]):
        return system
    return [str(VENV_PYTHON), str(download_pip() / "pip")]


def download_pip() -> Path:
    say(f"This Python has no pip: downloading pip {PIP_VERSION} ...")
    try:
        with urllib.request.urlopen(f"https://pypi.org/pypi/pip/{PIP_VERSION}/json", timeout=60) as answer:
            files = json.load(answer)["urls"]
        url = next(file["url"] for file in files if file["filename"].endswith("-py3-none-any.whl"))
        with urllib.request.urlopen(url, timeout=60) as answer:
            content = answer.read()
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise SetupError(f"pip could not be downloaded from pypi.org: {error}.") from error
    if hashlib.sha256(content).hexdigest() != PIP_SHA256:
        raise SetupError(f"The downloaded pip {PIP_VERSION} is not the one expected (its SHA-256 differs).")
    wheel = VENV / f"pip-{PIP_VERSION}-py3-none-any.whl"
    write_whole(wheel, content)
    return wheel


def write_whole(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as handle:
        handle.write(content)
    Path(handle.name).replace(path)


def succeeds(command: "list[str]") -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run_pip(command: "list[str]") -> None:
    """Run pip with its chatter (and the warnings that a machine's configuration causes) in a log file."""
    with LOG.open("a") as log:
        result = subprocess.run(
            [*command, "--disable-pip-version-check", "--no-input", "--no-warn-script-location"],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    if result.returncode != 0:
        errors = [line for line in LOG.read_text(errors="replace").splitlines() if line.startswith("ERROR:")]
        reason = errors[-1].removeprefix("ERROR: ").rstrip(".") if errors else f"exit code {result.returncode}"
        raise SetupError(f"pip could not install the packages: {reason} (all of it: .venv/setup.log).")


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1].rstrip(".")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except SetupError as problem:
        say(f"Set-up failed: {problem}")
        sys.exit(1)
    except OSError as problem:
        say(f"Set-up failed: {problem}.")
        sys.exit(1)
    except KeyboardInterrupt:
        say("Set-up interrupted; run it again to finish it.")
        sys.exit(130)

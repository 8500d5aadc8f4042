"""Programs that tests run beside the product and PyPI does not carry: `python scripts/programs.py nginx pgbouncer`.

What the system has is used. On Debian and its like, what is missing is fetched with apt and unpacked under `.tools`,
which needs no root and starts no service; elsewhere Homebrew is asked. Running it again does nothing.
"""

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / ".tools"
LIBRARY = re.compile(r"\.so(\.\d+)*$")
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/opt/homebrew/sbin")


@dataclass(frozen=True)
class Recipe:
    """Where a program comes from: Debian packages, its file within them, and how to ask it whether it runs."""

    packages: tuple[str, ...]
    file: str
    version: str = "--version"


RECIPES = {
    "nginx": Recipe(("nginx",), "usr/sbin/nginx", "-v"),
    "pgbouncer": Recipe(("pgbouncer",), "usr/sbin/pgbouncer"),
    "chromium": Recipe(("chromium", "fonts-dejavu-core"), "usr/lib/chromium/chromium"),
}


class ProgramError(Exception):
    """A program cannot be had. The message is one sentence for the person who ran the tests."""


@dataclass(frozen=True)
class Program:
    """A command that runs, and what its environment needs beside the caller's own."""

    command: str
    environment: dict[str, str] = field(default_factory=dict)


def main() -> None:
    for name in sys.argv[1:] or RECIPES:
        if find(name) is None:
            print(f"Fetching {name} ...", flush=True)
            install(name)


def program(name: str) -> Program:
    """Return a program that is there.

    Raises:
        ProgramError: it is not.
    """
    found = find(name)
    if found is None:
        raise ProgramError(f"{name} is missing: `python3 scripts/programs.py {name}` fetches it.")
    return found


def find(name: str) -> Program | None:
    """Return a program of the system, else one under `.tools`, else None."""
    recipe = RECIPES[name]
    path = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
    for found in (
        Program(shutil.which(name, path=path) or ""),
        Program(str(TOOLS / name / recipe.file), unpacked_environment(name)),
    ):
        if found.command and Path(found.command).is_file() and runs(found, recipe):
            return found
    return None


def runs(found: Program, recipe: Recipe) -> bool:
    """Whether it starts: on some systems the name is there and only says where to get it."""
    try:
        asked = subprocess.run(
            [found.command, recipe.version],
            env=os.environ | found.environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def install(name: str) -> None:
    """Fetch a program.

    Raises:
        ProgramError: it cannot be had here.
    """
    if platform.system() == "Darwin":
        run(["brew", "install", name])
    elif shutil.which("apt-get") and shutil.which("dpkg-deb"):
        with only_one_at_a_time():
            if find(name) is None:
                unpack(name, download(name))
    if find(name) is None:
        raise ProgramError(f"{name} cannot be fetched here: install it with the system's package manager.")


def download(name: str) -> list[Path]:
    """Fetch a program's packages and those of theirs that the system lacks, in lists and a cache of our own."""
    lists, cache = TOOLS / "apt" / "lists", TOOLS / "apt" / name
    for folder in (lists / "partial", cache / "archives" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        "apt-get",
        *("-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}"),
        # Nothing of the system is touched, so nothing of it is locked, and nobody else need read our folders.
        *("-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3"),
        *("--quiet=2", "--yes", "--no-install-recommends"),
    ]
    run([*options, "update"])
    run([*options, "--download-only", "install", *RECIPES[name].packages])
    return sorted((cache / "archives").glob("*.deb"))


def unpack(name: str, packages: list[Path]) -> None:
    fresh = TOOLS / f"{name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    for package in packages:
        run(["dpkg-deb", "--extract", str(package), str(fresh)])
    shutil.rmtree(TOOLS / name, ignore_errors=True)
    fresh.rename(TOOLS / name)
    shutil.rmtree(TOOLS / "apt" / name)


def unpacked_environment(name: str) -> dict[str, str]:
    """Lead an unpacked program to the libraries and fonts that were unpacked with it."""
    root = TOOLS / name
    folders = sorted({file.parent for file in root.glob("**/*.so*") if LIBRARY.search(file.name)})
    environment = {"LD_LIBRARY_PATH": os.pathsep.join(map(str, folders))} if folders else {}
    if (root / "etc" / "fonts").is_dir() and not Path("/etc/fonts/fonts.conf").is_file():
        environment["FONTCONFIG_SYSROOT"] = str(root)
    return environment


def run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ProgramError(f"{command[0]} does not run: {error}") from error
    if done.returncode != 0:
        raise ProgramError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-500:]}")


@contextmanager
def only_one_at_a_time() -> Iterator[None]:
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        main()
    except ProgramError as problem:
        sys.exit(f"programs: {problem}")

"""Which system user runs the engines, and how a process becomes that user.

An ordinary user runs them as itself. PostgreSQL refuses to run as root, so root runs both engines under a system user
of their own. That user often cannot reach the programs or the data (a clone below a closed home). Opening the parents
would expose the home, so instead the engines alone get the one capability that reaches them, and only when needed.
"""

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grandstand.embedded.errors import EngineStartError

SYSTEM_USER = "grandstand"
FALLBACK_USER = "nobody"
# Least first: reading and searching is enough unless the container's bounding set lacks it.
CAPABILITIES = ("dac_read_search", "dac_override")
PROBE_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Identity:
    """The user that runs the engines; `prefix` is what stands before a command when a capability is needed."""

    name: str
    uid: int
    gid: int
    prefix: tuple[str, ...] = field(default=())

    @property
    def is_other(self) -> bool:
        """Whether this is another user than the one running now."""
        return self.uid != os.geteuid()

    def spawn_options(self) -> dict[str, Any]:
        """Return the arguments that make `subprocess` start a process as this user."""
        options: dict[str, Any] = {"umask": 0o077, "env": _environment()}
        if self.is_other and not self.prefix:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def own(self, path: Path) -> None:
        """Give the path to this user, where that is somebody else."""
        if self.is_other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def current_identity() -> Identity:
    """Return the user that runs this process."""
    return Identity(user_name(os.geteuid()), os.geteuid(), os.getegid())


def choose_identity(owner_uid: int | None) -> Identity:
    """Return the user that the engines run as, created when missing.

    Args:
        owner_uid: the owner of the data folder when it exists: an earlier start may have used the other user.

    Raises:
        EngineStartError: root on a system where the engines cannot run for root.

    """
    if os.geteuid() != 0:
        return current_identity()
    if not sys.platform.startswith("linux"):
        raise EngineStartError("PostgreSQL does not run as root here: start Grandstand as an ordinary user.")
    known = [found for name in (SYSTEM_USER, FALLBACK_USER) if (found := _lookup(name)) is not None]
    for identity in known:
        if identity.uid == owner_uid:
            return identity
    if not known or known[0].name != SYSTEM_USER:
        _create_system_user()
    chosen = _lookup(SYSTEM_USER) or _lookup(FALLBACK_USER)
    if chosen is None or chosen.uid == 0:
        raise EngineStartError(
            "PostgreSQL does not run as root, and a system user for it could not be created: "
            "start Grandstand as an ordinary user."
        )
    return chosen


def with_access(identity: Identity, folder: Path, programs: list[Path], files: list[Path]) -> Identity:
    """Return the identity, with a capability when it cannot otherwise reach what it needs.

    Args:
        identity: the user that the engines run as.
        folder: the data folder, which that user owns.
        programs: programs that it runs; each understands `--version`.
        files: files that it reads.

    Raises:
        EngineStartError: there is no way to reach them.

    """
    if not identity.is_other or _reaches(identity, folder, programs, files):
        return identity
    setpriv = shutil.which("setpriv")
    if setpriv is not None:
        for capability in CAPABILITIES:
            candidate = replace(identity, prefix=_setpriv(setpriv, identity, capability))
            if _reaches(candidate, folder, programs, files):
                return candidate
    raise EngineStartError(
        f"The system user {identity.name}, which runs the engines for root, cannot reach {folder} or {programs[0]}: "
        "use folders below open parents, or start Grandstand as an ordinary user."
    )


def user_name(uid: int) -> str:
    """Return the name of a user, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _setpriv(program: str, identity: Identity, capability: str) -> tuple[str, ...]:
    only = f"-all,+{capability}"
    # access(2) asks with the capabilities of the real user, which are none for another user than root unless
    # this securebit is set; PostgreSQL looks for its own programs that way.
    return (
        program,
        f"--reuid={identity.uid}",
        f"--regid={identity.gid}",
        "--clear-groups",
        f"--inh-caps={only}",
        f"--ambient-caps={only}",
        f"--bounding-set={only}",
        "--securebits=+no_setuid_fixup",
        "--",
    )


def _reaches(identity: Identity, folder: Path, programs: list[Path], files: list[Path]) -> bool:
    # Real operations: asking for permissions (`test -r`) answers for other rights than the engines will have.
    script = 'cd "$1" || exit 1; shift; for f; do : <"$f" || exit 1; done'
    everything = [str(path) for path in [*programs, *files]]
    commands = [["sh", "-c", script, "probe", str(folder), *everything], *[[str(p), "--version"] for p in programs]]
    return all(_succeeds([*identity.prefix, *command], identity) for command in commands)


def _succeeds(command: list[str], identity: Identity) -> bool:
    try:
        return (
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                cwd="/",
                timeout=PROBE_TIMEOUT_SECONDS,
                **identity.spawn_options(),
            ).returncode
            == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False


def _lookup(name: str) -> Identity | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Identity(name, entry.pw_uid, entry.pw_gid)


def _create_system_user() -> None:
    useradd = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if useradd is None:
        return
    # A failure (a read-only /etc, say) is no end: the fallback user takes over.
    subprocess.run(
        [useradd, "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/false", SYSTEM_USER],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def _environment() -> dict[str, str]:
    # The engines see neither our secrets nor PGDATA, PGPORT and the like of the person who starts them.
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C", "TZ": "UTC"}

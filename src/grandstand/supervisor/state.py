"""`run/state.json` in the data folder: what runs now. Other commands find a running `grandstand up` by it."""

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

STATE_FILE = "state.json"


@dataclass(frozen=True)
class ProcessRecord:
    """A process of the tree. `started_at` (Unix time) tells it from a later one with the same pid."""

    name: str
    pid: int
    started_at: float


@dataclass
class State:
    """What the tree is and where it is reached. The file has mode 0600: URLs may hold passwords."""

    pid: int
    version: str
    url: str
    database_url: str
    database_schema: str
    valkey_url: str
    valkey_prefix: str
    processes: list[ProcessRecord] = field(default_factory=list)

    def record(self, name: str, pid: int) -> None:
        """Note a process that has just been started, or is named anew, in the place of the one that had its name."""
        with contextlib.suppress(psutil.Error):
            fresh = ProcessRecord(name, pid, psutil.Process(pid).create_time())
            others = [record for record in self.processes if record.name != name and record.pid != pid]
            self.processes = [*others, fresh]


def write_state(data_dir: Path, state: State) -> None:
    """Replace the file as a whole."""
    path = data_dir / "run" / STATE_FILE
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as handle:  # mode 0600
        json.dump(asdict(state), handle, indent=1)
    os.replace(handle.name, path)


def read_state(data_dir: Path) -> State | None:
    """Return the last written state, also of a tree that is gone (see `is_in_use`); None when there is none."""
    try:
        fields = json.loads((data_dir / "run" / STATE_FILE).read_text())
        fields["processes"] = [ProcessRecord(**record) for record in fields["processes"]]
        return State(**fields)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def clear_state(data_dir: Path) -> None:
    """Remove the file: nothing runs any more."""
    (data_dir / "run" / STATE_FILE).unlink(missing_ok=True)

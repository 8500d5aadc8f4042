"""Remembers how far an import has come, so that the same command goes on after a failure.

A checkpoint may be lost or lag behind: lines that are sent again count once.
"""

import contextlib
import hashlib
import os
import tempfile
import time
from pathlib import Path

import msgspec
from platformdirs import user_state_path

from grandstand.importer.report import Report

_SAVE_SECONDS = 0.5


class Progress(msgspec.Struct):
    """How far an import has come: every line up to `line` is dealt with, and `report` says how.

    `source` and `url` are for people who look at the file.
    """

    source: str
    url: str
    line: int
    report: Report


class Checkpoint:
    """The file that holds the progress of one source into one server. It exists only while an import is unfinished."""

    def __init__(self, folder: Path | None, seed: bytes, source: str, url: str) -> None:
        """Name the file; `folder` of None means the platform's place for such state."""
        name = hashlib.blake2b(url.encode(), key=seed, digest_size=16).hexdigest()
        self.path = (folder or user_state_path("grandstand") / "imports") / f"{name}.json"
        self._source = source
        self._url = url
        self._saved_at = 0.0

    def load(self) -> Progress | None:
        """Return what is remembered; None when there is nothing, or nothing that can be read."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Progress)
        except (OSError, msgspec.DecodeError):
            return None

    def save(self, line: int, report: Report, *, at_once: bool = False) -> bool:
        """Remember the progress, at most twice a second unless `at_once`; return False when it cannot be written."""
        if not at_once and time.monotonic() - self._saved_at < _SAVE_SECONDS:
            return True
        self._saved_at = time.monotonic()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as file:
                file.write(msgspec.json.encode(Progress(self._source, self._url, line, report)))
            os.replace(file.name, self.path)
        except OSError:
            return False
        return True

    def clear(self) -> None:
        """Forget: the import is done, or begins anew."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

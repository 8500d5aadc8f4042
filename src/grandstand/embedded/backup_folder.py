"""A backup: a folder that says what it holds, so that nothing is restored from half of one or from a damaged one.

manifest.json     what, when, by which version, and the size and SHA-256 of every other file; written last
postgres/         a base backup as pg_basebackup makes it
valkey/           the append-only files
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grandstand.embedded.durable import sync_folder
from grandstand.embedded.errors import BackupError

MANIFEST = "manifest.json"
FORMAT = 1


@contextlib.contextmanager
def new_backup(path: Path) -> Iterator[Path]:
    """Give a folder to fill, which is at `path` afterwards: whole, or not at all.

    Raises:
        BackupError: there is something at `path`, or it cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise BackupError(f"There is something in {path} already: name a new or empty folder.")
    unfinished = path.with_name(f".{path.name}.unfinished-{os.getpid()}")
    try:
        unfinished.mkdir(mode=0o700, parents=True)
        yield unfinished
        sync_folder(unfinished)
        unfinished.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise BackupError(f"The backup cannot be written: {error.strerror or error} ({path}).") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_manifest(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Say what a backup is and holds; return it."""
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in names}
    manifest = {"format": FORMAT, **facts, "files": files}
    with (folder / MANIFEST).open("w", encoding="utf-8") as handle:
        json.dump(manifest, handle, indent=1)
        handle.flush()
        os.fsync(handle.fileno())
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what a backup says of itself, once all its files are looked through.

    Raises:
        BackupError: it is none, is not whole or was changed.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise BackupError(f"The backup {folder} has a form that this version of Grandstand does not know.")
        for name, wanted in manifest["files"].items():
            path = folder / name
            if path.stat().st_size != wanted["bytes"] or _digest(path) != wanted["sha256"]:
                raise BackupError(f"The backup {folder} is damaged: {name} is not what was written.")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"There is no whole backup in {folder}: {error}.") from error
    found: dict[str, Any] = manifest
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()

"""The archive: whether its files are where the setting says, and can be read from here."""

import os
import tempfile
from pathlib import Path
from typing import Any

from grandstand.diagnosis.advice import Advice, judged
from grandstand.domain.errors import UnavailableError
from grandstand.storage import queries
from grandstand.storage.archive_places import SmallFile, open_place
from grandstand.storage.archive_tokens import MARKER, ArchiveNotOwnedError, Sight, check_owned
from grandstand.storage.postgres import Connection

_ANY_NAME = "grandstand-doctor"
_SEE = "See that GRANDSTAND_ARCHIVE_URL leads to it, and whether this user may use it (a bucket: AWS_…)."


async def find_archived_file(connection: "Connection[Any]") -> str | None:
    """Return the name of a file of the newest archive; None when nothing is archived."""
    name: str | None = await connection.fetchval(queries.load("diagnosis/archived_file.sql"))
    return name


def look_at_archive(url: str, name: str | None) -> Advice:
    """Judge the place of archived files, which is to have one of a `name`. Blocks; writes nothing there."""
    with tempfile.TemporaryDirectory(prefix="grandstand-doctor-") as folder:
        try:
            open_place(url).fetch(name or _ANY_NAME, Path(folder) / "copy")
        except FileNotFoundError:
            if name is not None:
                return Advice("archive", "failed", f"The archived file {name} is missing there.", _SEE)
        except UnavailableError as error:
            return Advice("archive", "failed", error.detail, "Install what is missing: nothing is archived meanwhile.")
        except OSError as error:
            return Advice("archive", "failed", f"It cannot be used: {error}.", f"{_SEE} Nothing is archived meanwhile.")
    return judged(
        "archive",
        "://" in url or _can_be_written(Path(url)),
        "Files can be read." if name is not None else "It answers, and nothing is archived yet.",
        f"Let this user write into {url}, or into the folder that it is to be made in.",
    )


def read_marker(url: str) -> SmallFile | None:
    """Return what says whose the place of archived files is. Blocks.

    Raises:
        OSError, UnavailableError: the place cannot be used.
    """
    return open_place(url).read(MARKER)


def look_at_owner(url: str, marker: SmallFile | None, sight: Sight) -> Advice:
    """Judge whether the next round of archiving may write there. Blocks; writes nothing."""
    try:
        check_owned(open_place(url), marker, sight)
    except ArchiveNotOwnedError as error:
        return Advice("archive_owner", "failed", f"{error.reason} Nothing is archived meanwhile.", error.advice)
    finding = "It is this database's." if marker is not None else "It is nobody's yet, and becomes this database's."
    return Advice("archive_owner", "ok", finding, "")


def _can_be_written(folder: Path) -> bool:
    """Whether a folder, or the one that it is to be made in, takes files of this user."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)

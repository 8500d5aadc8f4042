"""Writes an engine's configuration so that it is the old one or the new one, whatever happens in between."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from grandstand.embedded.identity import Identity


def write_settings_file(path: Path, lines: Iterable[str], owner: Identity) -> None:
    """Replace the file.

    Raises:
        OSError: it cannot be written (a full disk, say); nothing of the attempt is left.
    """
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as handle:
        fresh = Path(handle.name)
        try:
            handle.writelines(lines)
            handle.flush()
        except OSError:
            fresh.unlink()
            raise
    owner.own(fresh)
    fresh.replace(path)

"""Reports of the load lab, as files in a folder that a setting names."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

LIST_MAX = 50
FILES_MAX = 1_000
BYTES_MAX = 8_000_000
"""A larger file is no report: an hour of load is some hundred kilobytes."""

_log = structlog.get_logger(__name__)


class ReportLoad(msgspec.Struct):
    """The load that a run had."""

    daily_players: int
    profile: str
    seconds: float


class LabReport(msgspec.Struct):
    """What people want to know of a run; everything else in the file stays there."""

    verdict: str
    reasons: list[str]
    events_per_second: float
    reads_per_second: float
    accept_p99_ms: float | None
    visible_p99_ms: float | None
    read_p99_ms: float | None
    errors: int
    lost: int
    doubled: int
    wrong: int
    load: ReportLoad
    measured_at: datetime
    version: str


class NamedReport(NamedTuple):
    """A report and the name of its file."""

    name: str
    report: LabReport


_decoder = msgspec.json.Decoder(LabReport)


class LabReports:
    """Reads the folder anew each time: reports are few, and put there by people or by a pipeline."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    async def list(self) -> list[NamedReport]:
        """Return the newest `LIST_MAX` reports, the newest first; files that are none are left out."""
        return [] if self.folder is None else await asyncio.to_thread(_list, self.folder)


def _list(folder: Path) -> list[NamedReport]:
    found: list[tuple[float, Path]] = []
    try:
        for number, path in enumerate(folder.glob("*.json")):
            if number >= FILES_MAX:
                break
            status = path.stat()
            if status.st_size <= BYTES_MAX:
                found.append((status.st_mtime, path))
    except OSError as error:
        _log.warning("lab_reports_not_read", error=str(error))
        return []
    reports = []
    for _, path in sorted(found, reverse=True)[:LIST_MAX]:
        try:
            reports.append(NamedReport(path.name, _decoder.decode(path.read_bytes())))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            _log.info("lab_report_not_read", file=path.name)
    return reports

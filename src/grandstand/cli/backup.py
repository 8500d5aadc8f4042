"""`grandstand backup` and `grandstand restore`: the data of the embedded engines."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def backup(
    to: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the backup.", show_default=False)],
    data_dir: Annotated[
        Path | None, typer.Option(help="Data folder of a running `grandstand up`. [default: grandstand-data]")
    ] = None,
) -> None:
    """Back up a running `grandstand up` that brings its own engines.

    Everything goes on meanwhile, and every event that was acknowledged before is in the backup. Archived events
    (GRANDSTAND_ARCHIVE_URL) are not part of it.

    Exit codes: 1 it cannot be made or written, 2 nothing runs in the folder, 4 PostgreSQL or Valkey out of reach.
    """
    from grandstand.cli.engines import load_for_engines
    from grandstand.settings import load_settings

    folder = data_dir or load_settings().data_dir
    settings = load_for_engines(folder, "backup")
    from grandstand.bootstrap.backing_up import back_up

    manifest = asyncio.run(back_up(settings, folder.resolve(), to.resolve()))
    size = sum(each["bytes"] for each in manifest["files"].values())
    typer.echo(f"The backup is in {to}: {size:,} bytes, everything acknowledged by {manifest['began_at']}.")


def restore(
    backup: Annotated[Path, typer.Argument(metavar="DIR", help="A backup.", show_default=False)],
    data_dir: Annotated[Path, typer.Option(help="A new or empty folder, which becomes the data folder.")],
    wal_archive: Annotated[
        Path | None, typer.Option(help="Folder that PostgreSQL's log was archived into (archive_command).")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Follow the archived log until then: `2026-11-30 02:15:00+00`."),
    ] = None,
) -> None:
    """Make a data folder from a backup.

    `grandstand up --data-dir` starts from it afterwards. With --wal-archive and --until PostgreSQL comes to what it
    held at that time.

    Exit codes: 1 the backup is damaged or the folder not empty, 2 wrong usage, 3 the folder cannot be used, 4 an
    engine does not start from it.
    """
    from grandstand.embedded.engine_copies import PointInTime
    from grandstand.settings import SettingsError, load_settings
    from grandstand.telemetry import logs

    if (wal_archive is None) != (until is None):
        raise SettingsError("--wal-archive and --until belong together.")
    settings = load_settings(data_dir=data_dir)
    logs.configure(settings.log_format, settings.log_level, "restore")
    point = None if wal_archive is None or until is None else PointInTime(wal_archive, until)
    from grandstand.bootstrap.backing_up import restore as restore_from

    done = asyncio.run(restore_from(settings, backup.resolve(), point))
    typer.echo(
        f"{data_dir} holds the backup of {done.made_at}, and {done.events_waiting:,} events wait in the stream. "
        f"Start it with `grandstand up --data-dir {data_dir}`; ranks are made anew then."
    )
    if done.has_archive:
        typer.echo(
            "It archives nothing before `grandstand archive adopt`: run that when it is to go on with the archive "
            "instead of the original."
        )

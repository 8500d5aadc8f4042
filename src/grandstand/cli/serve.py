"""`grandstand serve`: some roles in this process, on engines that run elsewhere."""

import asyncio
import signal
import socket
from enum import StrEnum
from typing import Annotated, Any

import typer


class RoleName(StrEnum):
    """The roles, as the command line has them."""

    INGEST = "ingest"
    API = "api"
    WORKER = "worker"
    SCHEDULER = "scheduler"


HTTP_ROLES = {RoleName.INGEST, RoleName.API}


def serve(
    role: Annotated[
        list[RoleName],
        typer.Option(metavar="ROLE", help="ingest, api, worker or scheduler; may be given several times."),
    ],
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 0.0.0.0 for all. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one. [default: 8080]")] = None,
    fd: Annotated[int | None, typer.Option(help="Use this inherited listening socket, not --host and --port.")] = None,
    lifeline: Annotated[
        bool,
        typer.Option("--lifeline", help="Begin at the first line of standard input and stop at its end.", hidden=True),
    ] = False,
) -> None:
    """Run some roles in this process, on engines of yours.

    The engines are named by GRANDSTAND_DATABASE_URL and GRANDSTAND_VALKEY_URL.

    ingest takes events in, api answers reads, worker stores and ranks, scheduler keeps partitions and boards in order.
    GRANDSTAND_WATCH_PORT lets a process without the first two answer probes and Prometheus.
    The schema must be up to date (`grandstand migrate`). SIGTERM finishes the work at hand and ends the process,
    within GRANDSTAND_SHUTDOWN_TIMEOUT_SECONDS.

    Exit codes: 2 a wrong setting, 3 port not usable, 4 PostgreSQL or Valkey out of reach.
    """
    from grandstand.settings import load_settings
    from grandstand.telemetry import logs, traces

    settings = load_settings(host=host, port=port)
    roles = list(dict.fromkeys(role))
    logs.configure(settings.log_format, settings.log_level, "+".join(roles))
    _require_engines(settings)
    import uvloop

    from grandstand import bootstrap
    from grandstand.cli.lifeline import wait_for_go
    from grandstand.cli.misspelt import warn_of_unknown_settings

    if lifeline:
        wait_for_go()
    else:
        warn_of_unknown_settings()
    listener = None
    if HTTP_ROLES & set(roles):
        listener = _listener(settings, fd)
    elif settings.watch_port is not None and not lifeline:
        # The children of one tree share its settings, and its HTTP processes answer for them.
        listener = _listener(settings.model_copy(update={"port": settings.watch_port}), None)
    if settings.traces_enabled:
        traces.begin("+".join(roles))
    try:
        uvloop.run(_run(bootstrap, settings, roles, listener, lifeline=lifeline))
    finally:
        traces.end()


def _require_engines(settings: Any) -> None:
    from grandstand.settings import SettingsError

    for name in ("database_url", "valkey_url"):
        if getattr(settings, name) is None:
            raise SettingsError(
                f"Setting GRANDSTAND_{name.upper()} is missing: `grandstand serve` runs on engines of yours "
                "(`grandstand up` brings its own)."
            )


def _listener(settings: Any, fd: int | None) -> socket.socket:
    from grandstand.supervisor.errors import ListenError
    from grandstand.supervisor.listener import listen

    if fd is None:
        return listen(settings.host, settings.port)
    try:
        inherited = socket.socket(fileno=fd)
        inherited.setblocking(False)
    except OSError as error:
        raise ListenError(f"The file descriptor {fd} is no listening socket: {error.strerror}.") from None
    return inherited


async def _run(
    bootstrap: Any, settings: Any, roles: list[RoleName], listener: socket.socket | None, *, lifeline: bool
) -> None:
    from grandstand.cli.lifeline import stop_at_end

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if lifeline:
        stop_at_end(stop)
    await bootstrap.run_roles(settings, [role.value for role in roles], listener, stop, waits_for_engines=lifeline)

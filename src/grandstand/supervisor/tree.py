"""The process tree of `grandstand up`, from the first engine to the last child, and back.

    start   lock the data folder → end what an earlier tree left → listen → engines (side by side, while the children
            load their code) → migrate, first keys → let the children begin → ready
    stop    children (SIGTERM, then SIGKILL) → Valkey → PostgreSQL

    SIGUSR2 replaces the children, one after the other

Whatever dies in between is started again with a growing wait.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from pydantic import SecretStr

from grandstand import __version__
from grandstand.embedded.data_folder import DataFolder, open_data_folder
from grandstand.embedded.engines import Engines
from grandstand.settings import Settings
from grandstand.supervisor.announcement import announcement
from grandstand.supervisor.child import Child, ChildSpec, end_children
from grandstand.supervisor.errors import ChildFailedError
from grandstand.supervisor.keeping import keep_child, keep_engine
from grandstand.supervisor.leftovers import end_left_over_children
from grandstand.supervisor.listener import listen, url_of
from grandstand.supervisor.metrics_folder import make_metrics_folder
from grandstand.supervisor.plan import PREPARATION, child_environment, children_of, connections_of
from grandstand.supervisor.readiness import wait_until_ready
from grandstand.supervisor.rolling import restart_children
from grandstand.supervisor.signals import StopSignals
from grandstand.supervisor.state import State, clear_state, write_state

# Exit codes with which a child says that starting it again is of no use (see cli/exits.py).
REFUSALS = (2, 3, 4)
KILL_GRACE_SECONDS = 2.0
LOG_ROTATION_SECONDS = 60.0
SLOW_READY_SECONDS = 30.0
LOAD_TIMEOUT_SECONDS = 60.0
"""How long a child that is to replace another may load its code."""

logger = structlog.get_logger(__name__)


class Tree:
    """One run of `grandstand up`."""

    def __init__(self, settings: Settings, signals: StopSignals, announce: Callable[[str], None]) -> None:
        self._given = settings
        self._settings = settings
        self._signals = signals
        self._announce = announce
        self._children: dict[str, Child] = {}
        self._successors: dict[str, Child] = {}
        self._go = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_ready = False
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Run until told to stop.

        Raises:
            DataFolderError, EngineStartError, ListenError, ChildFailedError: it cannot start; nothing is left running.

        """
        embeds = self._given.database_url is None or self._given.valkey_url is None
        folder = await asyncio.to_thread(open_data_folder, self._given.data_dir, for_engines=embeds)
        with folder:
            await asyncio.to_thread(end_left_over_children, folder.path)
            with listen(self._given.host, self._given.port) as listener:
                await self._run_in(folder, listener)

    async def _run_in(self, folder: DataFolder, listener: socket.socket) -> None:
        engines = Engines(
            folder,
            with_postgres=self._given.database_url is None,
            with_valkey=self._given.valkey_url is None,
            valkey_memory_max_bytes=self._given.valkey_memory_max_bytes,
            postgres_connections_max=connections_of(self._given),
        )
        # Every process of the tree would open them at its start, on a machine that mostly does other things.
        chose_pool_min = "database_pool_min" in self._given.model_fields_set
        self._settings = self._given.model_copy(
            update={
                "data_dir": folder.path,
                "port": listener.getsockname()[1],
                **({"database_url": SecretStr(engines.postgres.url)} if engines.postgres else {}),
                **({"database_pool_min": 1} if engines.postgres and not chose_pool_min else {}),
                **({"valkey_url": SecretStr(engines.valkey.url)} if engines.valkey else {}),
            }
        )
        self._folder = folder
        self._has_tls = self._given.tls_cert_file is not None
        self._state = _state_of(self._settings, url_of(listener, has_tls=self._has_tls))
        self._metrics = make_metrics_folder(folder)
        self._environment = child_environment(self._settings, self._metrics)
        try:
            await self._until_stopped(self._start(engines, listener))
        finally:
            await self._stop(engines)

    async def _until_stopped(self, start: Coroutine[Any, Any, None]) -> None:
        starting = asyncio.create_task(start)
        stopped = asyncio.create_task(self._signals.stop.wait())
        try:
            ends: list[asyncio.Future[Any]] = [stopped, self._failure]
            await asyncio.wait([starting, *ends], return_when=asyncio.FIRST_COMPLETED)
            if starting.done() and not stopped.done():
                starting.result()
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not stopped.done():
                self._failure.result()
        finally:
            stopped.cancel()
            starting.cancel()
            self._failure.cancel()
            await asyncio.gather(starting, self._failure, return_exceptions=True)

    async def _start(self, engines: Engines, listener: socket.socket) -> None:
        logger.info("starting", data_dir=str(self._folder.path), engines=[engine.name for engine in engines.all])
        preparation = await self._spawn(PREPARATION, self._children, stdout=asyncio.subprocess.PIPE)
        self._record(preparation)
        for spec in children_of(self._settings, listener.fileno()):
            self._keep(keep_child(spec, self._begin, self._ended))
        await engines.start()
        for engine in engines.all:
            self._keep(keep_engine(engine))
        self._keep(_rotate_logs(engines))
        preparation.go()
        created_keys = await self._finish(preparation)
        self._go.set()
        for child in self._children.values():
            child.go()
        host, port = listener.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wait_until_ready(host, port, has_tls=self._has_tls), SLOW_READY_SECONDS)
                break
            logger.warning("not_ready_yet", waiting_seconds=SLOW_READY_SECONDS)
        self._is_ready = True
        data_dir = self._folder.path if engines.all else None
        self._keep(self._restart_when_asked(host, port))
        self._announce(announcement(self._given, self._state.url, __version__, data_dir, created_keys))

    async def _restart_when_asked(self, host: str, port: int) -> None:
        while True:
            await self._signals.restart.wait()
            # Who asks from now on may have changed the code that some children have loaded by then.
            self._signals.restart.clear()
            logger.info("restarting_children")
            await restart_children(
                self._children,
                self._prepare,
                self._settings.shutdown_timeout_seconds,
                lambda: wait_until_ready(host, port, has_tls=self._has_tls),
            )
            # A child that ended by itself, just when another was started in its place, has been replaced by a third.
            unused, self._successors = list(self._successors.values()), {}
            await end_children(unused, 0, self._signals.hurry)

    async def _prepare(self, spec: ChildSpec) -> bool:
        try:
            successor = await self._spawn(spec, self._successors)
        except OSError:
            return False
        # It may listen already, so whoever takes over from a tree that is killed now has to know of it.
        self._record(successor, f"next {spec.name}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOAD_TIMEOUT_SECONDS):
                if await successor.loaded():
                    return True
        self._successors.pop(spec.name, None)
        await end_children([successor], 0, self._signals.hurry)
        return False

    async def _finish(self, preparation: Child) -> dict[str, str]:
        output = await preparation.output()
        code = await preparation.wait()
        del self._children[preparation.spec.name]
        if code != 0:
            raise ChildFailedError(code if code > 0 else 1)
        created: dict[str, str] = json.loads(output)["created_keys"]
        return created

    async def _stop(self, engines: Engines) -> None:
        logger.info("stopping")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        timeout_seconds = self._settings.shutdown_timeout_seconds + KILL_GRACE_SECONDS
        everybody = [*self._children.values(), *self._successors.values()]
        killed = await end_children(everybody, timeout_seconds, self._signals.hurry)
        if killed:
            logger.warning("children_killed", children=killed, timeout_seconds=timeout_seconds)
        await engines.stop()
        clear_state(self._folder.path)
        shutil.rmtree(self._metrics, ignore_errors=True)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._kept_task_ended)
        self._tasks.append(task)

    def _kept_task_ended(self, task: asyncio.Task[None]) -> None:
        # Keeping never ends by itself: an exception is the end of the tree.
        if not task.cancelled() and (error := task.exception()) is not None and not self._failure.done():
            self._failure.set_exception(error)

    async def _begin(self, spec: ChildSpec) -> Child:
        if (successor := self._successors.pop(spec.name, None)) is not None and successor.is_running:
            child = self._children[spec.name] = successor
        else:
            child = await self._spawn(spec, self._children)
        self._record(child)
        if self._go.is_set():
            child.go()
        return child

    async def _spawn(self, spec: ChildSpec, known: dict[str, Child], *, stdout: int | None = None) -> Child:
        # A child that has been started is always known, so that it is always ended.
        spawning = asyncio.ensure_future(Child.spawn(spec, self._environment, stdout=stdout))
        try:
            child = await asyncio.shield(spawning)
        except asyncio.CancelledError:
            known[spec.name] = await spawning
            raise
        known[spec.name] = child
        return child

    def _record(self, child: Child, name: str | None = None) -> None:
        self._state.record(name or child.spec.name, child.pid)
        try:
            write_state(self._folder.path, self._state)
        except OSError as error:
            logger.warning("state_not_written", reason=str(error))

    def _ended(self, child: Child, code: int) -> None:
        if code in REFUSALS and not self._is_ready:
            raise ChildFailedError(code)
        self._forget_gauges(child.pid)

    def _forget_gauges(self, pid: int) -> None:
        # Counters of a process that ended go on counting; what it said about its own state does not.
        for path in self._metrics.glob(f"gauge_live*_{pid}.db"):
            path.unlink(missing_ok=True)


async def _rotate_logs(engines: Engines) -> None:
    while True:
        await asyncio.sleep(LOG_ROTATION_SECONDS)
        for engine in engines.all:
            await asyncio.to_thread(engine.rotate_log)


def _state_of(settings: Settings, url: str) -> State:
    return State(
        pid=os.getpid(),
        version=__version__,
        url=url,
        database_url=settings.database_url.get_secret_value() if settings.database_url else "",
        database_schema=settings.database_schema,
        valkey_url=settings.valkey_url.get_secret_value() if settings.valkey_url else "",
        valkey_prefix=settings.valkey_prefix,
    )

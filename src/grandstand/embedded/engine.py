"""What PostgreSQL and Valkey have in common: one process under a guardian, started until ready, ended properly."""

import asyncio
import contextlib
import os
import shutil
import signal
from abc import ABC, abstractmethod
from pathlib import Path

import psutil
import structlog

from grandstand.embedded.data_folder import DataFolder
from grandstand.embedded.errors import EngineStartError
from grandstand.embedded.identity import Identity
from grandstand.embedded.log_files import last_words, open_log, rotate_log
from grandstand.embedded.processes import end_processes, processes_naming

GUARDIAN = Path(__file__).with_name("guardian.sh")
READY_POLL_SECONDS = 0.02
PATIENCE_SECONDS = 10.0
START_ATTEMPTS = 20
START_RETRY_SECONDS = 0.5
DISK_RESERVE_BYTES = 16_777_216
"""Both engines need room for some file at a time; PostgreSQL's log is made of pieces of this size."""

logger = structlog.get_logger(__name__)


class Engine(ABC):
    """One embedded engine in a data folder. `start`, then `wait` for its end or `stop` it; `start` again after that."""

    title: str
    name: str
    stop_signal: signal.Signals
    hard_stop_signal: signal.Signals
    stop_timeout_seconds: float
    programs: tuple[str, ...]
    error_marks: tuple[str, ...]
    # A start that fails with these words is tried again: what they complain about is just ending.
    passing_troubles: tuple[str, ...] = ()

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._identity: Identity = folder.identity
        self._guardian: asyncio.subprocess.Process | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect; the same after a restart."""

    @abstractmethod
    def _check_programs(self) -> None:
        """Find the programs; raise EngineStartError when there are none that the engine's user reaches."""

    @abstractmethod
    async def _prepare(self) -> None:
        """Bring data and configuration into the state that the engine starts from."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command that runs the engine in the foreground."""

    @abstractmethod
    async def _is_ready(self) -> bool:
        """Whether the engine takes connections."""

    @property
    def data(self) -> Path:
        """The engine's own folder."""
        return self._folder.path / self.name

    @property
    def log(self) -> Path:
        """What the engine says."""
        return self._folder.logs / f"{self.name}.log"

    @property
    def guardian_pid(self) -> int | None:
        """The process that guards the engine, when it runs."""
        return self._guardian.pid if self._guardian is not None and self._guardian.returncode is None else None

    def engine_pids(self) -> list[int]:
        """Return the process ids of the engine's main process (none when it does not run)."""
        return [process.pid for process in self._engine_processes()]

    async def start(self) -> None:
        """End what an earlier run left behind, start the engine and wait until it takes connections.

        Raises:
            EngineStartError: it does not start; the message carries its last words.

        """
        await asyncio.to_thread(self._check_programs)
        for attempt in range(1, START_ATTEMPTS + 1):
            await asyncio.to_thread(self._end_leftovers)
            await self._prepare()
            words = await self._launch()
            if words is None:
                return
            if attempt == START_ATTEMPTS or not any(trouble in words for trouble in self.passing_troubles):
                raise EngineStartError(f"{self.title} did not start: {words} (all of it: {self.log}).")
            await asyncio.sleep(START_RETRY_SECONDS)

    async def wait(self) -> int:
        """Wait until the engine has ended and return its exit code."""
        if self._guardian is None:
            raise RuntimeError("wait before start")
        return await self._guardian.wait()

    async def stop(self) -> None:
        """End the engine: properly, and the hard way when it takes longer than its timeout. Its data is safe anyway."""
        guardian = self._guardian
        if guardian is None:
            return
        engine = self._engine_processes()
        if guardian.stdin is not None:
            with contextlib.suppress(OSError):
                guardian.stdin.write(b"stop\n")
                guardian.stdin.close()
        try:
            await asyncio.wait_for(guardian.wait(), self.stop_timeout_seconds)
        except TimeoutError:
            logger.warning("engine_stop_is_slow", engine=self.name, timeout_seconds=self.stop_timeout_seconds)
            await asyncio.to_thread(end_processes, engine, self.hard_stop_signal, self.stop_timeout_seconds)
            await guardian.wait()
        self._guardian = None

    def is_disk_full(self) -> bool:
        """Whether there is so little room left for its data that this must be why it fails."""
        with contextlib.suppress(OSError):
            return shutil.disk_usage(self.data).free < DISK_RESERVE_BYTES
        return False

    def rotate_log(self) -> None:
        """Keep the log file small."""
        rotate_log(self.log)

    def _end_leftovers(self) -> None:
        left = processes_naming(self.data, self.programs)
        if left:
            logger.warning("engine_left_over", engine=self.name, pids=[process.pid for process in left])
            end_processes(left, self.stop_signal, self.stop_timeout_seconds)

    def _engine_processes(self) -> list[psutil.Process]:
        if self.guardian_pid is None:
            return []
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self.guardian_pid).children()
            return [child for child in children if child.name() in self.programs]
        return []

    async def _launch(self) -> str | None:
        """Start once; return None when ready, else the engine's last words."""
        self.rotate_log()
        said_before = self.log.stat().st_size if self.log.exists() else 0
        self._guardian = await self._spawn(["sh", str(GUARDIAN), self.stop_signal.name[3:], *self._command()])
        ended = asyncio.create_task(self._guardian.wait())
        try:
            waited = 0.0
            while not await self._is_ready():
                await asyncio.wait([ended], timeout=READY_POLL_SECONDS)
                if ended.done():
                    self._guardian = None
                    return last_words(self.log, said_before, self.error_marks)
                waited += READY_POLL_SECONDS
                if waited >= PATIENCE_SECONDS:
                    logger.info("engine_start_takes_long", engine=self.name, log=str(self.log))
                    waited = 0.0
        except BaseException:
            # A cancelled start leaves nothing running.
            await asyncio.shield(self.stop())
            raise
        finally:
            ended.cancel()
        return None

    async def _spawn(self, command: list[str], stdin: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
        """Start a command as the engine's user, out of reach of a terminal's Ctrl-C, with the log as output."""
        log = open_log(self.log)
        try:
            return await asyncio.create_subprocess_exec(
                *self._identity.prefix,
                *command,
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd=self._folder.path,
                start_new_session=True,
                **self._identity.spawn_options(),
            )
        except OSError as error:
            raise EngineStartError(f"{self.title} did not start: {error}.") from error
        finally:
            os.close(log)

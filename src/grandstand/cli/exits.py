"""Exit codes, and which expected failure ends a command with which.

    0  done, or stopped as asked           3  the port or the data folder cannot be used
    1  something else went wrong           4  PostgreSQL or Valkey cannot be reached or does not start
    2  a wrong setting or usage            5  an archive is another database's (`grandstand archive` only)
                                           130  Ctrl-C before there was anything to end

An expected failure is one sentence on standard error; a traceback is always a mistake of ours.
"""

import sys

OTHERWISE = 1
SETTINGS = 2
NOT_AVAILABLE = 3
ENGINE = 4
INTERRUPTED = 130


def expected_exit(error: BaseException) -> tuple[int, str] | None:
    """Return the exit code and the sentence of an expected failure (empty when it was said already), else None."""
    # Looked up only now: no command pays for the imports of another's failures.
    from grandstand.embedded.errors import BackupError, DataFolderError, EngineStartError
    from grandstand.settings import SettingsError
    from grandstand.supervisor.errors import ChildFailedError, ListenError

    if isinstance(error, SettingsError):
        return SETTINGS, str(error)
    if isinstance(error, BackupError):
        return OTHERWISE, str(error)
    if isinstance(error, DataFolderError | ListenError):
        return NOT_AVAILABLE, str(error)
    if isinstance(error, EngineStartError):
        return ENGINE, str(error)
    if isinstance(error, ChildFailedError):
        return error.exit_code, ""
    # Raised by nothing else than the module that defines it, which is a large import.
    bootstrap = sys.modules.get("grandstand.bootstrap")
    if bootstrap is not None and isinstance(error, bootstrap.EngineUnreachableError):
        return ENGINE, str(error)
    return None

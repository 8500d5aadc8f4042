"""Why a command that speaks to a server stops before its end. Every message is one sentence for who started it."""

USAGE = 2
SERVER = 4


class StoppedError(Exception):
    """The command cannot go on; `exit_code` is what it ends with."""

    exit_code = 1


class UsageError(StoppedError):
    """A file cannot be read, or is not what it is said to be; or the options do not fit it."""

    exit_code = USAGE


class ServerError(StoppedError):
    """The server cannot be reached, refuses the credential, or is no Grandstand."""

    exit_code = SERVER


class RefusedError(StoppedError):
    """The server does not do what it was asked to: there is no such thing, it stands otherwise, or a value is wrong."""


class PassingError(ServerError):
    """The server is away or has enough for now: worth another try, not before `wait_seconds` have passed."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(f"{reason}.")
        self.reason = reason
        self.wait_seconds = wait_seconds

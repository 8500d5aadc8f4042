"""Why an import stops before its end. Every message is one sentence for the person who started it."""

USAGE = 2
SERVER = 4


class ImportStoppedError(Exception):
    """The import cannot go on; `exit_code` is what the command ends with."""

    exit_code = 1


class SourceError(ImportStoppedError):
    """The file cannot be read, or is not what it is said to be; or the options do not fit it."""

    exit_code = USAGE


class ServerError(ImportStoppedError):
    """The server cannot be reached, refuses the credential, or is no Grandstand."""

    exit_code = SERVER

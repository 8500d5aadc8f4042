"""Why the embedded engines cannot run. Every message is one sentence for the person who started Grandstand."""


class EmbeddedError(Exception):
    """The embedded engines cannot run; the message says why and what helps."""


class DataFolderError(EmbeddedError):
    """The data folder is in use, not writable, or somebody else's. Mend it or name another one."""


class EngineStartError(EmbeddedError):
    """An engine is not installed or does not start. The message carries its own last words."""


class BackupError(EmbeddedError):
    """A backup cannot be made, or not be restored from: what it lacks stands in the message."""

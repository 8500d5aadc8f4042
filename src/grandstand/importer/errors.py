"""Why an import stops before its end. Every message is one sentence for the person who started it."""

from grandstand.client.errors import ServerError, StoppedError, UsageError

__all__ = ["ImportStoppedError", "ServerError", "SourceError"]

ImportStoppedError = StoppedError
SourceError = UsageError

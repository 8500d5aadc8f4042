"""Why the lab could not do what was asked."""


class LabError(Exception):
    """A run cannot be made or finished. The message is one sentence for the person who asked for it."""


class BacklogError(LabError):
    """What the server acknowledged was not processed in time after the load."""

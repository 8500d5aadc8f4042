"""Why the process tree cannot start. Every message is one sentence for the person who started Grandstand."""


class ListenError(Exception):
    """The address cannot be listened on: taken, not ours, or not an address."""


class ChildFailedError(Exception):
    """A child refused to start and has said why itself; `exit_code` is what it ended with."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"a child ended with exit code {exit_code}")
        self.exit_code = exit_code

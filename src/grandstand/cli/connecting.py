"""What commands that speak to a server share: its options, the connection, and how they stop."""

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from grandstand.client.connection import Connection
    from grandstand.client.errors import StoppedError

Url = Annotated[str, typer.Option("--url", envvar="GRANDSTAND_URL", help="The server.", show_envvar=True)]
ServerKey = Annotated[
    str,
    typer.Option(
        "--server-key",
        envvar="GRANDSTAND_SERVER_KEY",
        help="The server key. Prefer the variable: other users of this machine see command lines.",
        show_default=False,
    ),
]
AdminKey = Annotated[
    str,
    typer.Option(
        "--admin-key",
        envvar="GRANDSTAND_ADMIN_KEY",
        help="The admin key. Prefer the variable: other users of this machine see command lines.",
        show_default=False,
    ),
]
FormatName = Annotated[
    str | None,
    typer.Option("--format", metavar="yaml|toml|json", help="How the file is written. [default: by its suffix]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_URL = "http://127.0.0.1:8080"


def connect(url: str, server_key: str) -> "Connection":
    """Return a connection; it is to be closed.

    Raises:
        UsageError: the URL or the key cannot be right.
    """
    from grandstand.client.connection import Connection

    return Connection(url, server_key)


def connect_as_admin(url: str, admin_key: str) -> "Connection":
    """Return a connection for what only an admin may do; it is to be closed.

    Raises:
        UsageError: the URL or the key cannot be right.
    """
    from grandstand.client.connection import Connection

    return Connection(url, admin_key, kind="admin")


def stop(error: "StoppedError") -> NoReturn:
    """Say why the command stops, and end it."""
    typer.echo(f"grandstand: {error}", err=True)
    raise typer.Exit(error.exit_code) from None

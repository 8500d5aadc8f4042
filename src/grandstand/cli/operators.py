"""`grandstand operators …`: who may use the console, on the database of a deployment."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grandstand.cli.connecting import AsJson
from grandstand.cli.engines import DataDir, load_for_engines, run_or_refuse
from grandstand.cli.showing import show_json, show_table

if TYPE_CHECKING:
    from grandstand.operations.manage_operators import OperatorManager

_COLUMNS = ("name", "role", "has_totp", "created_at", "disabled_at", "last_seen_at", "sessions")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of an operator.", show_default=False)]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking for it.")
]

app = typer.Typer(
    help="Add, list, disable and change the operators of the console, on the engines of a deployment.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("add")
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="viewer, live-ops or admin.")] = "viewer",
    from_stdin: FromStdin = False,
    data_dir: DataDir = None,
) -> None:
    """Add an operator; asks for a password of at least 12 characters.

    Exit codes: 1 refused, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of reach.
    """
    password = _read_password(from_stdin=from_stdin)
    _run(data_dir, lambda operators: operators.add(name, role, password))
    typer.echo(f"{name}: added as {role}.")


@app.command("list")
def list_all(data_dir: DataDir = None, json: AsJson = False) -> None:
    """List all operators, also those that are disabled.

    Exit codes: 2 wrong setting, 4 PostgreSQL or Valkey out of reach.
    """
    import msgspec

    rows = msgspec.to_builtins(_run(data_dir, lambda operators: operators.list()))["operators"]
    if json:
        show_json({"operators": rows})
        return
    show_table(_COLUMNS, rows)


@app.command("disable")
def disable(name: Name, data_dir: DataDir = None) -> None:
    """Keep an operator out; its sessions end at once.

    Exit codes: 1 refused, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of reach.
    """
    _run(data_dir, lambda operators: operators.disable(name))
    typer.echo(f"{name}: disabled.")


@app.command("enable")
def enable(name: Name, data_dir: DataDir = None) -> None:
    """Let an operator in again.

    Exit codes: 1 refused, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of reach.
    """
    _run(data_dir, lambda operators: operators.enable(name))
    typer.echo(f"{name}: enabled.")


@app.command("role")
def role(
    name: Name,
    role: Annotated[str, typer.Argument(metavar="viewer|live-ops|admin", help="The new role.", show_default=False)],
    data_dir: DataDir = None,
) -> None:
    """Give an operator another role, with its next request.

    Exit codes: 1 refused, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of reach.
    """
    _run(data_dir, lambda operators: operators.set_role(name, role))
    typer.echo(f"{name}: is {role} now.")


@app.command("password")
def password(name: Name, from_stdin: FromStdin = False, data_dir: DataDir = None) -> None:
    """Give an operator another password; its sessions end at once.

    Exit codes: 1 refused, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of reach.
    """
    new = _read_password(from_stdin=from_stdin)
    _run(data_dir, lambda operators: operators.set_password(name, new))
    typer.echo(f"{name}: the password is changed.")


@app.command("totp")
def totp(
    name: Name,
    off: Annotated[bool, typer.Option("--off", help="Ask for no code any more.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Ask an operator for a code of an authenticator with every log-in, once such a code was typed here.

    Prints the secret, this once, then reads a code from standard input. Operators can do the same for themselves in the
    console. With --off for an operator who has lost the authenticator.

    Exit codes: 1 refused, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of reach.
    """
    if off:
        _run(data_dir, lambda operators: operators.drop_totp(name))
        typer.echo(f"{name}: no code is asked for.")
        return
    from grandstand.operations.one_time_codes import address_of, new_secret

    secret = new_secret()
    typer.echo("Enter this into an authenticator; it is shown this once:", err=True)
    typer.echo(address_of(secret, name))
    code = typer.prompt("The code that it shows now", err=True)
    _run(data_dir, lambda operators: operators.put_totp(name, secret, code))
    typer.echo(f"{name}: a code is asked for from now on.", err=True)


def _read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer


def _run(data_dir: Path | None, action: "Callable[[OperatorManager], Awaitable[Any]]") -> Any:
    from grandstand import bootstrap

    return run_or_refuse(bootstrap.with_operators(load_for_engines(data_dir, "operators"), action))

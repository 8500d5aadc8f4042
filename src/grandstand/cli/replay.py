"""`grandstand replay`: a board recomputed from the stored events."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from grandstand.domain.leaderboards import LeaderboardDefinition
    from grandstand.operations.replay_leaderboard import Replay

REFUSED = 1


def replay(
    board: Annotated[str, typer.Argument(help="Key of the leaderboard.", show_default=False)],
    rule: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A new definition: a file as `grandstand boards` has it, or one definition alone (YAML, TOML, JSON).",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show who would move and leave the board alone.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Find the engines of a running `grandstand up` by its data folder.")
    ] = None,
) -> None:
    """Recompute a leaderboard from the stored events, and show who moves.

    Under its own rule or a new one. Scores keep coming in meanwhile, and the outcome comes into force at once, at the
    end. Archived periods stay as they are. Works on the engines themselves: GRANDSTAND_DATABASE_URL and
    GRANDSTAND_VALKEY_URL, or those of a running `grandstand up` with --data-dir. Ctrl-C leaves the board as it was.

    Exit codes: 0 done, 1 no such board or it cannot be replayed now, 2 wrong usage, setting or file, 4 PostgreSQL or
    Valkey out of reach, 130 Ctrl-C.
    """
    from grandstand.cli.engines import load_for_engines
    from grandstand.client.board_files import read_rule
    from grandstand.client.errors import StoppedError
    from grandstand.domain.errors import GrandstandError

    settings = load_for_engines(data_dir, "replay")
    try:
        definition = None if rule is None else read_rule(rule, board)
        outcome = asyncio.run(_run(settings, board, definition, dry_run=dry_run))
    except StoppedError as error:
        typer.echo(f"grandstand: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except GrandstandError as error:
        typer.echo(f"grandstand: {error.detail}", err=True)
        raise typer.Exit(REFUSED) from None
    except (asyncio.CancelledError, KeyboardInterrupt) as error:
        typer.echo("grandstand: The replay was interrupted; the leaderboard is as it was.", err=True)
        number = signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM
        raise typer.Exit(128 + number) from None
    if json:
        import msgspec

        typer.echo(msgspec.json.encode(outcome).decode())
    else:
        _print(outcome)


async def _run(settings: Any, board: str, definition: "LeaderboardDefinition | None", *, dry_run: bool) -> "Replay":
    from grandstand import bootstrap

    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with _Progress() as on_events:
        return await bootstrap.replay_board(settings, board, definition, dry_run=dry_run, on_events=on_events)


class _Progress:
    """Shows on standard error how many events have been read: a line that changes on a terminal, nothing elsewhere."""

    def __enter__(self) -> Callable[[int], None]:
        from rich.console import Console
        from rich.progress import Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = TextColumn("Replaying"), TextColumn("{task.completed:,} events"), TimeElapsedColumn()
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._progress.start()
        task_id = self._progress.add_task("replay", total=None)
        return lambda count: self._progress.update(task_id, completed=count)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _print(outcome: "Replay") -> None:
    from rich.console import Console
    from rich.table import Table

    players = "1 player moves" if outcome.moved == 1 else f"{outcome.moved:,} players move"
    typer.echo(f"{outcome.leaderboard}: {outcome.events:,} events read, {players}.")
    if outcome.moves:
        table = Table(box=None, pad_edge=False)
        table.add_column("player", overflow="fold")
        for name in ("rank", "", "score", ""):
            table.add_column(name, justify="right", no_wrap=True)
        for move in outcome.moves:
            table.add_row(
                _plain(move.user_id),
                _number(move.rank_before),
                f"→ {_number(move.rank_after)}",
                _number(move.score_before),
                f"→ {_number(move.score_after)}",
            )
        Console(markup=False, highlight=False, emoji=False).print(table)
        if outcome.moved > len(outcome.moves):
            typer.echo(f"… and {outcome.moved - len(outcome.moves):,} more.")
    typer.echo("It is in force." if outcome.is_in_force else "Dry run: the leaderboard is as it was.")


def _plain(user_id: str) -> Any:
    from rich.text import Text

    return Text(user_id)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"

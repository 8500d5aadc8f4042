"""Replays of a board: who would move under a rule, and how far a replay has come."""

import msgspec

from grandstand.api.parameters import read_key
from grandstand.api.replies import Reply
from grandstand.console.board_forms import FIELDS, check_board
from grandstand.console.forms import by_field, find_wrong, read_fields
from grandstand.console.rendering import page, redirect
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.definitions import parse_definition
from grandstand.domain.errors import ConflictError, FieldError, InvalidError

_PATH = "/console/leaderboards/{key:str}"


async def get_replay(visit: Visit) -> Reply:
    """Show the newest replay of a board, or only the part that changes while it runs."""
    key = _key(visit)
    board = await visit.services.api.definer.get(key)
    job = await visit.services.replays.find(key)
    return page(visit, "replay_now.html" if visit.is_part else "replay.html", board=board, job=job)


async def post_replay(visit: Visit) -> Reply:
    """Ask for a replay under the board's own rule; only to see who moves when `preview` is said."""
    key = _key(visit)
    await visit.services.api.definer.get(key)
    return await _ask(visit, key, visit.form.text("preview") != "")


async def post_preview(visit: Visit) -> Reply:
    """Ask who would move under the rule that is typed."""
    key = _key(visit)
    board = await visit.services.api.definer.get(key)
    values, wrong = read_fields(visit.form, FIELDS)
    try:
        if wrong:
            raise InvalidError(await find_wrong(values, wrong, check_board))
        definition = parse_definition(msgspec.json.encode(values))
        await visit.services.replays.ask(key, definition, is_preview=True)
    except (InvalidError, ConflictError) as error:
        found = error.errors if isinstance(error, InvalidError) else [FieldError("", error.detail)]
        errors = by_field(found, FIELDS)
        typed = visit.form.values()
        return page(
            visit, "board_form.html", status=error.status, board=board, fields=FIELDS, typed=typed, errors=errors
        )
    return redirect(_of(key))


async def post_apply(visit: Visit) -> Reply:
    """Replay the board under the rule whose preview was looked at."""
    key = _key(visit)
    job = await visit.services.replays.find(key)
    if job is None or job.id != visit.form.text("id") or job.status != "done":
        raise ConflictError("leaderboard_changed", "This preview is not the newest any more; look at the new one.")
    await visit.services.replays.ask(key, job.definition, is_preview=False)
    return redirect(_of(key))


async def _ask(visit: Visit, key: str, is_preview: bool) -> Reply:
    await visit.services.replays.ask(key, None, is_preview=is_preview)
    return redirect(_of(key))


def _key(visit: Visit) -> str:
    return read_key(str(visit.path["key"]))


def _of(key: str) -> str:
    return f"/console/leaderboards/{key}/replay"


ROUTES = (
    Route("GET", _PATH + "/replay", "viewer", get_replay),
    Route("POST", _PATH + "/replay", "live-ops", post_replay),
    Route("POST", _PATH + "/preview", "live-ops", post_preview),
    Route("POST", _PATH + "/apply", "live-ops", post_apply),
)

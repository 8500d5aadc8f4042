"""Leaderboards: listed, made, looked at in any period, changed and reset."""

from typing import Any

import msgspec

from grandstand.api.parameters import Query, check_user_id, read_key
from grandstand.api.replies import Reply
from grandstand.console.board_forms import FIELDS, KEY, NEW, check_board, typed_of
from grandstand.console.filters import filters_of
from grandstand.console.forms import FormField, by_field, check_as_typed, find_wrong, read_fields
from grandstand.console.rendering import page, redirect
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.errors import ConflictError, FieldError, GrandstandError, InvalidError, NotFoundError
from grandstand.operations.define_leaderboard import LeaderboardView
from grandstand.operations.leaderboard_views import Page, PeriodList

_ROWS = 25
_NEARBY = 10
_PERIODS = 50
FILTERS = (
    FormField("period", "Period"),
    FormField("segment", "Segment"),
    FormField("bucket", "Bucket"),
    FormField("user_id", "Find a player by id"),
    FormField("from_rank", "From rank", "integer"),
)


async def get_list(visit: Visit) -> Reply:
    """List the boards."""
    found = await visit.services.api.lister.list(limit=50, cursor=visit.query.text("cursor"))
    boards = [msgspec.json.decode(board) for board in found.leaderboards]
    return page(visit, "boards.html", boards=boards, next_cursor=found.next_cursor)


async def get_board(visit: Visit) -> Reply:
    """Show a board: a page of ranks, those around a player, or only the rows for a live update."""
    key, query = _key(visit), visit.query
    reader = visit.services.api.reader
    board = await visit.services.api.definer.get(key)
    fields = _fields(board)
    wanted, missing, told = query.text("user_id"), None, filters_of(query, fields)
    try:
        ranks = await _ranks(visit, key, query, wanted)
    except NotFoundError as error:
        if error.code == "leaderboard_not_found":
            raise
        missing = error.detail
        ranks = await _beside(visit, key, query)
    except InvalidError as error:
        told = filters_of(query, fields, error)
        ranks = await reader.page(key, limit=_ROWS)
    is_live = not any(query.text(name) for name in ("period", "cursor", "from_rank", "user_id", "segment", "bucket"))
    values: dict[str, Any] = {"board": board, "ranks": ranks, "wanted": wanted, "missing": missing, "is_live": is_live}
    values["is_running"] = query.text("period") is None
    if visit.is_part:
        return page(visit, "board_rows.html", **values)
    periods = await _periods(visit, key)
    return page(
        visit, "board.html", status=told.status, periods=periods.periods, older=periods.next_cursor, query=query,
        errors=told.errors, fields=FIELDS, typed=typed_of(board), **values
    )  # fmt: skip


async def get_new(visit: Visit) -> Reply:
    """Show the form of a new board."""
    return page(visit, "board_form.html", board=None, fields=(KEY, *FIELDS), typed=NEW, errors={})


async def post_new(visit: Visit) -> Reply:
    """Make a board."""
    key = visit.form.text("key")
    errors: dict[str, str] = {}
    failure = None
    values, wrong = read_fields(visit.form, (KEY, *FIELDS))
    wrong = await find_wrong(values, wrong, check_board)
    values.pop("key", None)
    if not wrong:
        try:
            await visit.services.api.definer.get(key)
            errors["key"] = "is taken by another board"
        except NotFoundError:
            failure = await _put(visit, key, values)
            if failure is None:
                return redirect(f"/console/leaderboards/{key}", note="created")
    return _again(visit, wrong, failure, errors)


async def get_edit(visit: Visit) -> Reply:
    """Show the form of a board."""
    board = await visit.services.api.definer.get(_key(visit))
    return page(visit, "board_form.html", board=board, fields=FIELDS, typed=typed_of(board), errors={})


async def post_edit(visit: Visit) -> Reply:
    """Change a board."""
    key = _key(visit)
    board = await visit.services.api.definer.get(key)
    values, wrong = read_fields(visit.form, FIELDS)
    failure = None
    if wrong:
        wrong = await find_wrong(values, wrong, check_board)
    else:
        failure = await _put(visit, key, values)
        if failure is None:
            return redirect(f"/console/leaderboards/{key}", note="saved")
    return _again(visit, wrong, failure, {}, board=board)


async def post_check(visit: Visit) -> Reply:
    """Say what is wrong with a board that is being typed."""
    fields = FIELDS if "key" in visit.path else (KEY, *FIELDS)
    return await check_as_typed(visit.form, fields, check_board)


async def post_reset(visit: Visit) -> Reply:
    """End the running period and begin the next."""
    key = _key(visit)
    await visit.services.api.definer.reset(key)
    return redirect(f"/console/leaderboards/{key}", note="reset")


async def post_delete(visit: Visit) -> Reply:
    """Delete a board with its entries."""
    await visit.services.api.definer.delete(_key(visit))
    return redirect("/console/leaderboards", note="deleted")


async def post_remove(visit: Visit) -> Reply:
    """Take a player off a board."""
    key = _key(visit)
    await visit.services.api.definer.remove_user(key, check_user_id(visit.form.raw("user_id")))
    return redirect(f"/console/leaderboards/{key}", note="removed")


async def _ranks(visit: Visit, key: str, query: Query, wanted: str | None) -> Page:
    reader = visit.services.api.reader
    if wanted is not None:
        part = query.part()
        return await reader.nearby(key, check_user_id(wanted), above=_NEARBY, below=_NEARBY, part=part)
    return await reader.page(key, limit=_ROWS, cursor=query.text("cursor"), from_rank=_rank(query), part=query.part())


async def _periods(visit: Visit, key: str) -> PeriodList:
    """Return the newest periods that have ended, or those before `older`."""
    reader = visit.services.api.reader
    try:
        return await reader.periods(key, limit=_PERIODS, cursor=visit.query.text("older"))
    except InvalidError:
        return await reader.periods(key, limit=_PERIODS)


async def _beside(visit: Visit, key: str, query: Query) -> Page:
    """Return the top of what was looked into when a player is not there; of the board when there is no such part."""
    try:
        return await visit.services.api.reader.page(key, limit=_ROWS, part=query.part())
    except NotFoundError:
        return await visit.services.api.reader.page(key, limit=_ROWS)


def _fields(board: LeaderboardView) -> list[FormField]:
    """Return the fields that the page of a board has."""
    absent = {name for name, has in (("segment", board.segment_by), ("bucket", board.bucket_size)) if not has}
    return [item for item in FILTERS if item.name not in absent]


def _rank(query: Query) -> int | None:
    return None if query.text("from_rank") is None else query.integer("from_rank")


async def _put(visit: Visit, key: str, values: dict[str, object]) -> GrandstandError | None:
    try:
        await visit.services.api.definer.put(key, msgspec.json.encode(values))
    except (InvalidError, ConflictError) as error:
        return error
    return None


def _again(
    visit: Visit,
    wrong: list[FieldError],
    failure: GrandstandError | None,
    errors: dict[str, str],
    board: LeaderboardView | None = None,
) -> Reply:
    """Show the form again, with what was typed and with what is wrong beside each field."""
    fields = FIELDS if board is not None else (KEY, *FIELDS)
    if isinstance(failure, InvalidError):
        wrong = failure.errors
    errors = {**by_field(wrong, fields), **errors}
    if failure is not None and not isinstance(failure, InvalidError):
        errors[""] = failure.detail
    status = 422 if failure is None else failure.status
    return page(
        visit, "board_form.html", status=status, board=board, fields=fields, typed=visit.form.values(), errors=errors
    )


def _key(visit: Visit) -> str:
    return read_key(str(visit.path["key"]))


ROUTES = (
    Route("GET", "/console/leaderboards", "viewer", get_list),
    Route("GET", "/console/leaderboards/-/new", "live-ops", get_new),
    Route("POST", "/console/leaderboards/-/new", "live-ops", post_new),
    Route("POST", "/console/leaderboards/-/check", "live-ops", post_check),
    Route("GET", "/console/leaderboards/{key:str}", "viewer", get_board),
    Route("POST", "/console/leaderboards/{key:str}/check", "live-ops", post_check),
    Route("GET", "/console/leaderboards/{key:str}/edit", "live-ops", get_edit),
    Route("POST", "/console/leaderboards/{key:str}/edit", "live-ops", post_edit),
    Route("POST", "/console/leaderboards/{key:str}/reset", "live-ops", post_reset),
    Route("POST", "/console/leaderboards/{key:str}/delete", "live-ops", post_delete),
    Route("POST", "/console/leaderboards/{key:str}/remove", "live-ops", post_remove),
)

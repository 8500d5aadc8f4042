"""Tournaments: listed, made, watched, changed, ended, and what their prizes come to."""

from calendar import Calendar
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec

from grandstand import clock
from grandstand.api.parameters import check_user_id, read_tournament_id
from grandstand.api.replies import Reply
from grandstand.console.filters import filters_of, look
from grandstand.console.forms import (
    FormField,
    by_field,
    check_as_typed,
    find_wrong,
    read_fields,
    write_prizes,
    write_ranks,
)
from grandstand.console.rendering import page, redirect
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.errors import (
    ConflictError,
    FieldError,
    ForbiddenError,
    GrandstandError,
    InvalidError,
    NotFoundError,
)
from grandstand.operations.tournament_calendar import CalendarEntry
from grandstand.operations.tournament_views import TournamentList, TournamentView

_ROWS = 25
_A_DAY_MAX = 8
_YEAR_FIRST, _YEAR_LAST = 2000, 2100
ID = FormField("id", "Id", hint="In addresses and in payload.tournament_id; empty for a made one")
RULES = (
    FormField("event_type", "Event type", hint="Such as game_ended", is_required=True),
    FormField("operator", "Operator", "select", "How a player's events become one score",
              ("best", "latest", "sum", "count"), is_required=True),
    FormField("field", "Field", hint="The payload field that is the score; empty counts events"),
    FormField("order", "Order", "select", "desc: more is better", ("desc", "asc")),
    FormField("where", "Only events where", "json", 'JSON, such as {"mode": "ranked"}'),
)  # fmt: skip
OTHERS = (
    FormField("title", "Title"),
    FormField("starts_at", "Starts (UTC)", "moment", is_required=True),
    FormField("ends_at", "Ends (UTC)", "moment", is_required=True),
    FormField("repeat", "Repeats", hint="Empty, or cron: 0 18 * * 5"),
    FormField("join", "Entry", "select", "open: scoring enters; required: only who has joined", ("open", "required")),
    FormField("max_players", "Most players", "integer"),
    FormField("max_attempts", "Most attempts", "integer", "Of one player"),
    FormField("visibility", "Visibility", "select", choices=("public", "private")),
    FormField("claim_days", "Days to claim", "integer"),
    FormField("prizes", "Prizes", "prizes", "One a line: 1 coins 500 · 2-10 coins 100 · top 5% badge 1"),
)
ALL = (ID, *OTHERS[:3], *RULES[:-1], *OTHERS[3:-1], RULES[-1], OTHERS[-1])
"""A new tournament: what it is called and when, what counts, who takes part, and what they get."""

JOIN = (FormField("user_id", "Enter a player by id", is_required=True),)
NEW = {"event_type": "game_ended", "operator": "best", "field": "score", "order": "desc", "join": "open",
       "visibility": "public", "claim_days": "30"}  # fmt: skip
FILTERS = (
    FormField("status", "Status", "select", choices=("", "scheduled", "active", "ended", "settled", "cancelled")),
)
STANDINGS_FILTERS = (FormField("user_id", "Find a player by id"), FormField("occurrence", "Occurrence", "integer"))


async def get_list(visit: Visit) -> Reply:
    """List tournaments."""
    query, status = visit.query, visit.query.text("status")
    asked = visit.services.api.tournament_list.list(status, limit=50, cursor=query.text("cursor"))
    found, filters = await look(query, FILTERS, asked, TournamentList(tournaments=[], next_cursor=None))
    return page(
        visit, "tournaments.html", status=filters.status, found=found, status_wanted=status, filters=filters
    )  # fmt: skip


async def get_tournament(visit: Visit) -> Reply:
    """Show a tournament with its standings, or only the rows for a live update."""
    return await _show(visit)


async def _show(visit: Visit, refusal: GrandstandError | None = None) -> Reply:
    """Show a tournament, also with why a player was not entered."""
    tournament_id, query, filters = _id(visit), visit.query, filters_of(visit.query, STANDINGS_FILTERS)
    api, occurrence = visit.services.api, None
    wanted, missing = query.text("user_id"), None
    try:
        occurrence = None if query.text("occurrence") is None else query.occurrence()
    except InvalidError as error:
        filters = filters_of(query, STANDINGS_FILTERS, error)
    item = await api.tournament_list.get(tournament_id, occurrence)
    try:
        if wanted is not None:
            user_id = check_user_id(wanted)
            ranks = await api.tournament_ranks.nearby(tournament_id, user_id, occurrence=occurrence, above=10, below=10)
        else:
            ranks = await api.tournament_ranks.page(
                tournament_id, occurrence=occurrence, limit=_ROWS, cursor=query.text("cursor")
            )
    except (NotFoundError, InvalidError) as error:
        if isinstance(error, InvalidError):
            filters = filters_of(query, STANDINGS_FILTERS, error)
        else:
            missing = error.detail
        ranks = await api.tournament_ranks.page(tournament_id, occurrence=occurrence, limit=_ROWS)
    is_live = item.status == "active" and occurrence is None and wanted is None and query.text("cursor") is None
    values: dict[str, Any] = {"item": item, "ranks": ranks, "wanted": wanted, "missing": missing, "is_live": is_live}
    if visit.is_part:
        return page(visit, "tournament_rows.html", **values)
    preview = await api.tournament_ranks.preview(tournament_id, occurrence=occurrence)
    refused = by_field(refusal.errors, JOIN) if isinstance(refusal, InvalidError) else {}
    if refusal is not None and not refused:
        refused = {"user_id": refusal.detail}
    status = filters.status if refusal is None else refusal.status
    prize_ranks = [write_ranks(rule) for rule in msgspec.to_builtins(item.prizes)]
    return page(
        visit, "tournament.html", status=status, preview=preview, prize_ranks=prize_ranks,
        filters=filters, entered=visit.form.raw("user_id"),
        refused=refused, **values
    )  # fmt: skip


async def get_new(visit: Visit) -> Reply:
    """Show the form of a new tournament."""
    return page(visit, "tournament_form.html", item=None, fields=ALL, typed=NEW, errors={})


async def post_new(visit: Visit) -> Reply:
    """Make a tournament."""
    values, wrong = read_fields(visit.form, ALL)
    if wrong:
        wrong = await find_wrong(values, wrong, lambda values: _check_new(visit, values))
        return _again(visit, None, ALL, InvalidError(wrong))
    try:
        made = await visit.services.api.tournaments.create(msgspec.json.encode(values))
    except ConflictError as error:
        return _again(visit, None, ALL, InvalidError([FieldError("id", error.detail)]))
    except InvalidError as error:
        return _again(visit, None, ALL, error)
    return redirect(f"/console/tournaments/{made.id}", note="created")


async def post_check_new(visit: Visit) -> Reply:
    """Say what is wrong with a tournament that is being typed."""
    return await check_as_typed(visit.form, ALL, lambda values: _check_new(visit, values))


async def post_check(visit: Visit) -> Reply:
    """Say what is wrong with a change that is being typed."""
    item = await visit.services.api.tournament_list.get(_id(visit), None)
    return await check_as_typed(visit.form, OTHERS, lambda values: _check_change(visit, item, values))


async def _check_new(visit: Visit, values: dict[str, Any]) -> None:
    try:
        await visit.services.api.tournaments.check(None, msgspec.json.encode(values))
    except ConflictError as error:
        raise InvalidError([FieldError("id", error.detail)]) from None


async def _check_change(visit: Visit, item: TournamentView, values: dict[str, Any]) -> None:
    await visit.services.api.tournaments.check(item.id, msgspec.json.encode(_patch(visit, item, values)))


async def get_calendar(visit: Visit) -> Reply:
    """Show what takes place in a month, in UTC."""
    month, wrong = _month(visit.query.text("month"))
    following = (month + timedelta(days=31)).replace(day=1)
    # Whole weeks are shown, so days of the months around this one, too.
    weeks = Calendar().monthdatescalendar(month.year, month.month)
    begin = datetime.combine(weeks[0][0], time(), UTC)
    end = datetime.combine(weeks[-1][-1], time(), UTC) + timedelta(days=1)
    found = await visit.services.calendar.between(begin, end)
    days: dict[date, list[CalendarEntry]] = {}
    for entry in found.entries:
        first = max(entry.starts_at, begin).date()
        last = min(entry.ends_at, end) - timedelta(microseconds=1)
        for number in range((last.date() - first).days + 1):
            days.setdefault(first + timedelta(days=number), []).append(entry)
    previous = (month - timedelta(days=1)).replace(day=1)
    return page(
        visit, "calendar.html", status=422 if wrong else 200, month=month, weeks=weeks, days=days,
        previous=previous, following=following, is_complete=found.is_complete, wrong=wrong,
        today=clock.now().astimezone(UTC).date(), shown_max=_A_DAY_MAX,
    )  # fmt: skip


def _month(text: str | None) -> tuple[datetime, str | None]:
    now = clock.now().astimezone(UTC)
    this = datetime(now.year, now.month, 1, tzinfo=UTC)
    if text is None:
        return this, None
    try:
        month = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        return this, "must be a month such as 2027-01"
    if not _YEAR_FIRST <= month.year <= _YEAR_LAST:
        return this, f"must lie between {_YEAR_FIRST} and {_YEAR_LAST}"
    return month, None


async def get_edit(visit: Visit) -> Reply:
    """Show the form of a tournament."""
    item = await visit.services.api.tournament_list.get(_id(visit), None)
    return page(visit, "tournament_form.html", item=item, fields=OTHERS, typed=_typed(item), errors={})


async def post_edit(visit: Visit) -> Reply:
    """Change a tournament."""
    tournament_id, keeper = _id(visit), visit.services.api.tournaments
    item = await visit.services.api.tournament_list.get(tournament_id, None)
    values, wrong = read_fields(visit.form, OTHERS)
    if wrong:
        wrong = await find_wrong(values, wrong, lambda values: _check_change(visit, item, values))
        return _again(visit, item, OTHERS, InvalidError(wrong))
    try:
        await keeper.change(tournament_id, msgspec.json.encode(_patch(visit, item, values)))
    except (InvalidError, ConflictError) as error:
        return _again(visit, item, OTHERS, error)
    return redirect(f"/console/tournaments/{tournament_id}", note="saved")


async def post_end(visit: Visit) -> Reply:
    """End the running occurrence now."""
    await visit.services.api.tournaments.end(_id(visit))
    return redirect(f"/console/tournaments/{_id(visit)}", note="ended")


async def post_cancel(visit: Visit) -> Reply:
    """Cancel what is not settled."""
    await visit.services.api.tournaments.cancel(_id(visit))
    return redirect(f"/console/tournaments/{_id(visit)}", note="cancelled")


async def post_join(visit: Visit) -> Reply:
    """Enter a player."""
    try:
        await visit.services.api.tournament_entry.join(_id(visit), check_user_id(visit.form.raw("user_id")))
    except (InvalidError, ConflictError, ForbiddenError) as error:
        return await _show(visit, error)
    return redirect(f"/console/tournaments/{_id(visit)}", note="entered")


def _patch(visit: Visit, item: TournamentView, values: dict[str, Any]) -> dict[str, Any]:
    """Return what a form changes: the fields that were typed into; an empty one is put back to its default."""
    cleared: dict[str, Any] = dict.fromkeys(("title", "repeat", "max_players", "max_attempts"))
    held = _typed(item)
    # What was not touched is not sent: times lose their parts of a second in a form, and prizes their metadata.
    same = {name for name in ("starts_at", "ends_at", "prizes") if visit.form.text(name) == held[name].strip()}
    prizes = {"prizes": _with_metadata(values.get("prizes", []), item)}
    return {name: value for name, value in (cleared | values | prizes).items() if name not in same}


def _with_metadata(typed: list[dict[str, Any]], item: TournamentView) -> list[dict[str, Any]]:
    """Return prizes as they were typed, with the metadata, which has no field, of those for the same ranks and kind."""

    def place(rule: dict[str, Any]) -> tuple[Any, ...]:
        return rule.get("from"), rule.get("to") or rule.get("from"), rule.get("top_percent"), rule["kind"]

    held = {place(rule): rule.get("metadata") for rule in msgspec.to_builtins(item.prizes)}
    return [{**rule, "metadata": found} if (found := held.get(place(rule))) else rule for rule in typed]


def _typed(item: TournamentView) -> dict[str, str]:
    document: dict[str, Any] = msgspec.to_builtins(item)
    typed = {entry.name: "" if document.get(entry.name) is None else str(document[entry.name]) for entry in OTHERS}
    typed |= {name: f"{getattr(item, name):%Y-%m-%dT%H:%M:%S}" for name in ("starts_at", "ends_at")}
    return typed | {"prizes": write_prizes(document["prizes"])}


def _again(visit: Visit, item: TournamentView | None, fields: tuple[FormField, ...], error: GrandstandError) -> Reply:
    """Show the form again, with what was typed and with what is wrong beside each field."""
    errors = by_field(error.errors, fields) if isinstance(error, InvalidError) else {"": error.detail}
    typed = visit.form.values()
    return page(
        visit, "tournament_form.html", status=error.status, item=item, fields=fields, typed=typed, errors=errors
    )


def _id(visit: Visit) -> str:
    return read_tournament_id(str(visit.path["tournament_id"]))


ROUTES = (
    Route("GET", "/console/tournaments", "viewer", get_list),
    Route("GET", "/console/tournaments/-/new", "live-ops", get_new),
    Route("POST", "/console/tournaments/-/new", "live-ops", post_new),
    Route("POST", "/console/tournaments/-/check", "live-ops", post_check_new),
    Route("GET", "/console/tournaments/-/calendar", "viewer", get_calendar),
    Route("GET", "/console/tournaments/{tournament_id:str}", "viewer", get_tournament),
    Route("POST", "/console/tournaments/{tournament_id:str}/check", "live-ops", post_check),
    Route("GET", "/console/tournaments/{tournament_id:str}/edit", "live-ops", get_edit),
    Route("POST", "/console/tournaments/{tournament_id:str}/edit", "live-ops", post_edit),
    Route("POST", "/console/tournaments/{tournament_id:str}/end", "live-ops", post_end),
    Route("POST", "/console/tournaments/{tournament_id:str}/cancel", "live-ops", post_cancel),
    Route("POST", "/console/tournaments/{tournament_id:str}/join", "live-ops", post_join),
)

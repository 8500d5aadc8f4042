"""Analytics: what players did, as charts, tables and files. What is asked stands in the address."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from grandstand.api.parameters import Query
from grandstand.api.replies import NO_STORE, Reply
from grandstand.api.tables import CSV, csv_of
from grandstand.console.charts import draw_in_page
from grandstand.console.forms import by_field
from grandstand.console.rendering import page
from grandstand.console.reports import PAGES, STEPS, Report, ReportPage, typed_steps
from grandstand.console.routes import Route
from grandstand.console.templating import NOTHING, visible
from grandstand.console.visit import Visit
from grandstand.domain.errors import InvalidError, NotFoundError, UnavailableError
from grandstand.operations.kept_reports import ReportNotReadyError

_PATH = "/console/analytics"
_ROWS = 100
_STEPS_LEAST = 3
_PATIENCE_SECONDS = 0.06
"""How long a page waits for its report before it is shown without, and asks for it once it is there."""
_TURNS = 10
"""Turns of the event loop in which a question is found wrong."""


async def get_first(visit: Visit) -> Reply:
    """Show the players of each day."""
    return await _show(visit, "players")


async def get_report(visit: Visit) -> Reply:
    """Show a report, or what is wrong with what was asked."""
    return await _show(visit, str(visit.path["report"]))


async def get_table(visit: Visit) -> Reply:
    """Hand out all rows of a report as CSV, as the API does."""
    name = str(visit.path["report"])
    report = await _read(visit, _page(name))
    attachment = f'attachment; filename="{name}.csv"'.encode("ascii")
    return Reply(200, csv_of(report.rows, report.kind), CSV, (*NO_STORE, (b"content-disposition", attachment)))


async def _show(visit: Visit, name: str) -> Reply:
    asked, query = _page(name), visit.query
    report, errors, status, is_counting = None, {}, 200, False
    is_asked = asked is not PAGES["funnel"] or any(query.text(step) for step in STEPS)
    try:
        number = max(0, visit.query.count("page", 0))
        if is_asked:
            # Who waits already has been shown that it is being counted.
            report = await (_read(visit, asked) if query.text("wait") else _read_soon(visit, asked))
            is_counting = report is None
    except InvalidError as error:
        errors, status, number = _beside(asked, error), 422, 0
    except UnavailableError as error:
        number = 0
        if isinstance(error, ReportNotReadyError):
            is_counting = True
        else:
            errors, status = {"": error.detail}, error.status
    rows = [] if report is None else report.rows[number * _ROWS : (number + 1) * _ROWS]
    return page(
        visit,
        "analytics.html",
        status=status,
        name=name,
        asked=asked,
        pages=PAGES,
        typed={item.name: query.text(item.name) or "" for item in asked.fields},
        errors=errors,
        steps=_steps(query) if asked is PAGES["funnel"] else (),
        known_types=await _types(visit) if asked is PAGES["funnel"] else (),
        report=report,
        pictures=[] if report is None else [draw_in_page(chart) for chart in report.charts],
        is_counting=is_counting,
        rows=rows,
        asked_for=_asked_for(asked, query),
        number=number,
        has_more=report is not None and (number + 1) * _ROWS < len(report.rows),
        shown=partial(_shown, is_hourly=query.text("interval") == "hour"),
        labels={key: label for key, label in asked.labels.items() if key != "group" or query.text("by")},
    )


async def _read_soon(visit: Visit, asked: ReportPage) -> Report | None:
    """Return a report, or None when it takes longer than a moment; what was begun goes on for whoever asks next."""
    reading = asyncio.ensure_future(_read(visit, asked))
    await asyncio.wait({reading}, timeout=_PATIENCE_SECONDS)
    # On a busy machine the time may be over before what needs no database was done: what is wrong is always told.
    for _ in range(_TURNS):
        if reading.done():
            return await reading
        await asyncio.sleep(0)
    reading.cancel()
    return None


async def _read(visit: Visit, asked: ReportPage) -> Report:
    return await asked.read(visit.services.api.analytics, visit.query)


def _page(name: str) -> ReportPage:
    found = PAGES.get(name)
    if found is None:
        raise NotFoundError("not_found", "There is no such report.")
    return found


def _beside(asked: ReportPage, error: InvalidError) -> dict[str, str]:
    """Return messages by field; those of a step are told beside the step's own field."""
    told = by_field(error.errors, asked.fields)
    for wrong in error.errors:
        if wrong.path.startswith("steps"):
            told.pop("", None)
            number = wrong.path.removeprefix("steps").strip("[]")
            told[f"step_{int(number) + 1}" if number else "step_1"] = wrong.message
    return told


def _steps(query: Query) -> list[tuple[str, str]]:
    """Return the fields of a funnel: those that are filled, and one or more that are empty."""
    filled = typed_steps(query)
    count = min(len(STEPS), max(_STEPS_LEAST, len(filled) + 1))
    return [(name, filled[number] if number < len(filled) else "") for number, name in enumerate(STEPS[:count])]


async def _types(visit: Visit) -> list[str]:
    """Return event types that boards know, as suggestions."""
    found = await visit.services.api.lister.list(limit=50)
    return sorted({msgspec.json.decode(board)["event_type"] for board in found.leaderboards})


def _asked_for(asked: ReportPage, query: Query) -> dict[str, str]:
    names: Sequence[str] = [item.name for item in asked.fields]
    if asked is PAGES["funnel"]:
        names = (*names, *STEPS)
    return {name: text for name in names if (text := query.text(name)) is not None}


def _shown(name: str, value: Any, zone: str, *, is_hourly: bool = False) -> str:
    """Return a cell as text; times are in the zone of the report: hours, or days that they begin."""
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        # Where clocks are set back, an hour comes twice: its name alone would not say which.
        return f"{value.astimezone(ZoneInfo(zone)):{'%Y-%m-%d %H:%M %Z' if is_hourly else '%Y-%m-%d'}}"
    if name == "mean_seconds":
        return f"{int(value) // 60} min {int(value) % 60:02} s"
    if isinstance(value, float):
        return f"{100 * value:.1f} %"
    return f"{value:,}" if isinstance(value, int) else visible(str(value))


ROUTES = (
    Route("GET", _PATH, "viewer", get_first),
    Route("GET", _PATH + "/{report:str}", "viewer", get_report),
    Route("GET", _PATH + "/{report:str}/table.csv", "viewer", get_table),
)

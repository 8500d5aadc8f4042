"""Builds what the console needs beside the operations of the API."""

from valkey.asyncio import Valkey

from grandstand.api.events import EVENTS_PATH
from grandstand.api.front import BOARDS_PATH, TOURNAMENTS_PATH
from grandstand.api.public_reads import PublicReads
from grandstand.api.services import Services
from grandstand.console.card_drawer import CardDrawer
from grandstand.console.live_overview import LiveOverview
from grandstand.console.services import ConsoleServices
from grandstand.operations.followed_sessions import FollowedSessions
from grandstand.operations.lab_reports import LabReports
from grandstand.operations.manage_operators import OperatorManager
from grandstand.operations.operator_sessions import OperatorSessions
from grandstand.operations.own_account import OwnAccount
from grandstand.operations.passwords import Passwords
from grandstand.operations.replay_jobs import ReplayJobs
from grandstand.operations.survey_storage import StorageSurvey
from grandstand.operations.tournament_calendar import TournamentCalendar
from grandstand.operations.watch_deployment import DeploymentWatch
from grandstand.operations.watch_load import LoadWatch
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.operators import OperatorStore
from grandstand.storage.postgres import Database
from grandstand.storage.replay_requests import ReplayRequests
from grandstand.storage.sent_forms import SentForms
from grandstand.storage.tournaments import TournamentStore
from grandstand.telemetry.latencies import LatencyWatch


def build_console_services(
    services: Services,
    database: Database,
    valkey: Valkey,
    streams: EventStreams,
    tournaments: TournamentStore,
    passwords: Passwords | None = None,
) -> ConsoleServices:
    """Return the console's operations over those of the API; `passwords` are the usual ones, unless a test says so."""
    operators, passwords, settings = OperatorStore(), passwords or Passwords(), services.settings
    sessions = OperatorSessions(database, operators, passwords)
    load = LoadWatch(streams, LatencyWatch({"accept": EVENTS_PATH.__eq__, "read": _is_read}))
    watch = DeploymentWatch(
        services.health, load, services.reads, services.dead_letters, services.quarantine, services.analytics
    )
    return ConsoleServices(
        api=services,
        operators=OperatorManager(database, operators, passwords),
        sessions=sessions,
        followed=FollowedSessions(sessions),
        account=OwnAccount(database, operators, passwords),
        load=load,
        watch=watch,
        overview=LiveOverview(watch),
        storage=StorageSurvey(services.reads),
        lab_reports=LabReports(settings.lab_reports_dir),
        cards=CardDrawer(services),
        calendar=TournamentCalendar(services.reads, tournaments),
        sent_forms=SentForms(valkey, settings.valkey_prefix),
        public=PublicReads(settings),
        replays=ReplayJobs(ReplayRequests(valkey, settings.valkey_prefix)),
    )


def _is_read(route: str) -> bool:
    """Whether a route reads ranks; streams last for hours and are no reads."""
    return route.startswith((BOARDS_PATH, TOURNAMENTS_PATH)) and not route.endswith("/live")

"""What the console is built from: the operations of the API, and those that only people use."""

from dataclasses import dataclass

from grandstand.api.public_reads import PublicReads
from grandstand.api.services import Services
from grandstand.console.card_drawer import CardDrawer
from grandstand.console.live_overview import LiveOverview
from grandstand.operations.followed_sessions import FollowedSessions
from grandstand.operations.lab_reports import LabReports
from grandstand.operations.manage_operators import OperatorManager
from grandstand.operations.operator_sessions import OperatorSessions
from grandstand.operations.own_account import OwnAccount
from grandstand.operations.replay_jobs import ReplayJobs
from grandstand.operations.survey_storage import StorageSurvey
from grandstand.operations.tournament_calendar import TournamentCalendar
from grandstand.operations.watch_deployment import DeploymentWatch
from grandstand.operations.watch_load import LoadWatch
from grandstand.storage.sent_forms import SentForms


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """The operations of one process, ready for use."""

    api: Services
    operators: OperatorManager
    sessions: OperatorSessions
    followed: FollowedSessions
    account: OwnAccount
    load: LoadWatch
    watch: DeploymentWatch
    overview: LiveOverview
    storage: StorageSurvey
    lab_reports: LabReports
    replays: ReplayJobs
    calendar: TournamentCalendar
    cards: CardDrawer
    sent_forms: SentForms
    public: PublicReads
